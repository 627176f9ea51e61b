"""The groups of rights that an installation begins with: docs/console.md."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWER, OPERATOR, ADMINISTRATOR = "Viewer", "Operator", "Administrator"
# All that the console has pages of, and what stands in tables on these pages.
SEEN = {
    "gateways": (
        "gateway", "gatewaygroup", "credential", "gatewaystatus", "gatewayreset",
        "servedconfiguration", "networkrule",
    ),
    "sensors": ("sensor", "latest", "access", "pendingshare", "sensorsetting"),
    "alerts": ("alertrule", "alertevent", "delivery", "pushtoken", "webhook"),
    "subscriptions": ("plan", "code", "subscription"),
    "accounts": ("user", "accesstoken", "usersetting", "outgoingmail", "auditentry"),
    "operations": ("notice",),
    "auth": ("group",),
    "axes": ("accessattempt", "accessfailurelog", "accesslog"),
}  # fmt: skip
OPERATED = {
    "gateways": (
        "add_gateway", "change_gateway",
        "add_networkrule", "change_networkrule", "delete_networkrule",
    ),
    "sensors": (
        "add_sensor", "change_sensor", "add_access", "change_access", "delete_access",
        "change_pendingshare", "delete_pendingshare",
    ),
    "alerts": ("change_delivery",),
    "accounts": ("change_outgoingmail",),
}  # fmt: skip


def make_roles(apps, schema_editor):
    permissions = _permissions(apps, schema_editor.connection.alias)
    seen = [permissions[app, f"view_{model}"] for app, models in SEEN.items() for model in models]
    operated = [permissions[app, name] for app, names in OPERATED.items() for name in names]
    groups = apps.get_model("auth", "Group").objects
    for name, rights in (
        (VIEWER, seen),
        (OPERATOR, seen + operated),
        (ADMINISTRATOR, permissions.values()),
    ):
        group, is_new = groups.get_or_create(name=name)
        if is_new:  # the rights of one that somebody made before are theirs to choose
            group.permissions.set(rights)


def _permissions(apps, database):
    """All permissions by app and codename: Django makes them only after the last migration."""
    for config in apps.get_app_configs():
        config.models_module = True  # else the app is taken for one without models
        create_permissions(config, apps=apps, using=database, verbosity=0)
    found = apps.get_model("auth", "Permission").objects.select_related("content_type")
    return {(each.content_type.app_label, each.codename): each for each in found}


class Migration(migrations.Migration):
    # What makes the models, and no more: whoever takes a newer one back keeps the roles.
    dependencies = [
        ("accounts", "0005_wants_notices"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("alerts", "0002_judging_and_channels"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("axes", "0010_accessattemptexpiration"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("gateways", "0009_ingest_minutes"),
        ("operations", "0002_notices"),
        ("sensors", "0003_profiles_and_shares"),
        ("sessions", "0001_initial"),
        ("subscriptions", "0002_plans_and_codes"),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
