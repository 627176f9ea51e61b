"""What a migration may do to tables that posts are written to: docs/upgrading.md."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_migration_linter.sql_analyser import PostgresqlAnalyser
from django_migration_linter.sql_analyser.analyser import analyse_sql_statements

# Large, or written with every post; what locks one of these stops ingest.
HOT = {
    "sensors_measurement",
    "sensors_sparsemeasurement",
    "sensors_latest",
    "gateways_gateway",
    "alerts_evaluationmark",
}
# Of before the first release, when nobody had data.
EARLIER = {
    ("gateways", "0001_initial"),
    ("gateways", "0004_credentials_and_policies"),
    ("gateways", "0005_statistics"),
    ("gateways", "0006_remote_configuration"),
    ("sensors", "0001_initial"),
    ("sensors", "0005_room_for_updates"),
    ("sensors", "0006_pack_history"),
    ("alerts", "0001_initial"),
}


def complaints(statements):
    """What the linter says about statements that concern a hot table."""
    hot = [line for line in statements if any(table in line for table in HOT)]
    errors, _, warnings = analyse_sql_statements(PostgresqlAnalyser, hot)
    found = {issue.code for issue in [*errors, *warnings]}
    return found | {"CHECKS_ROWS" for line in hot if checks_all_rows(line)}


def checks_all_rows(statement):
    adds = "ADD CONSTRAINT" in statement and "USING INDEX" not in statement
    return (adds or "SET NOT NULL" in statement) and "NOT VALID" not in statement


def statements_of(app, name):
    out = StringIO()
    call_command("sqlmigrate", app, name, stdout=out)
    return [line for line in out.getvalue().splitlines() if not line.startswith("--")]


@pytest.mark.django_db
def test_no_migration_holds_up_posts_or_the_version_before():
    ours = {"gateways", "alerts", "sensors"} if connection.vendor == "postgresql" else set()
    migrations = [key for key in MigrationLoader(None).disk_migrations if key[0] in ours]
    found = {key: complaints(statements_of(*key)) for key in migrations if key not in EARLIER}
    assert {key: codes for key, codes in found.items() if codes} == {}


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX "by_signal" ON "sensors_latest" ("rssi_dbm");',
        'ALTER TABLE "gateways_gateway" ADD COLUMN "site" text NOT NULL;',
        'ALTER TABLE "gateways_gateway" ALTER COLUMN "mac" TYPE numeric USING "mac"::numeric;',
        'ALTER TABLE "gateways_gateway" ALTER COLUMN "period_s" SET NOT NULL;',
        'ALTER TABLE "sensors_latest" ADD CONSTRAINT "x" CHECK ("rssi_dbm" < 0);',
        'ALTER TABLE "sensors_latest" DROP COLUMN "rssi_dbm" CASCADE;',
        'ALTER TABLE "sensors_latest" RENAME COLUMN "rssi_dbm" TO "signal";',
    ],
)
def test_what_holds_up_posts_or_the_version_before_is_noticed(statement):
    assert complaints([statement])


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX CONCURRENTLY "by_signal" ON "sensors_latest" ("rssi_dbm");',
        'ALTER TABLE "gateways_gateway" ADD COLUMN "site" text NULL;',
        'ALTER TABLE "gateways_gateway" ADD COLUMN "floor" integer DEFAULT 0 NOT NULL;',
        'ALTER TABLE "sensors_latest" ADD CONSTRAINT "x" CHECK ("rssi_dbm" < 0) NOT VALID;',
        'CREATE INDEX "mails" ON "accounts_outgoingmail" ("address");',
    ],
)
def test_what_holds_up_nobody_is_let_through(statement):
    assert complaints([statement]) == set()
