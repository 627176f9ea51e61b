"""Settings: environment and `.env` in, typed values out. No other file reads the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy
from environ.fileaware_mapping import FileAwareMapping
from kombu import Queue

from ruuvinet.first_start import ensure_secrets

django_stubs_ext.monkeypatch()  # before any app is imported

BASE_DIR = Path(__file__).resolve().parent.parent


class _Env(environ.FileAwareEnv):  # type: ignore[misc]  # untyped; also reads the file in NAME_FILE
    """Says in one line which variable is wrong: ruuvinet/__init__.py prints it."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        with _blaming(var):
            return super().get_value(var, *args, **kwargs)


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, OSError, ImproperlyConfigured) as error:
        text = f"{name} cannot be understood: {error}. See docs/settings.md"
        raise ImproperlyConfigured(text) from error


def _networks(name: str) -> list[IPv4Network | IPv6Network]:
    texts = env.list(name, default=[])
    with _blaming(name):
        return [ip_network(text.strip()) for text in texts]


def _database(url: str) -> dict[str, Any]:
    """Not shown in errors: it may hold a password."""
    with _blaming("DATABASE_URL"):
        found: dict[str, Any] = env.db_url_config(url) if url.startswith(_DATABASES) else {}
        if not found.get("NAME"):
            raise ValueError("it is not of the form postgres://user:password@host/name")
    return found


_DATABASES = ("postgres://", "postgresql://", "sqlite://")

env = _Env()
if (BASE_DIR / ".env").is_file():
    env.read_env(BASE_DIR / ".env")

DATA_DIR = Path(env.str("RUUVINET_DATA", default="") or BASE_DIR / "var").resolve()
DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise ImproperlyConfigured("REDIS_URL is not of the form redis://host/0. See docs/settings.md")

if not DATABASE_URL:
    # The embedded set-up makes its own secrets; one with a database server must be given them,
    # since machines that share a database must share them too.
    ensure_secrets(DATA_DIR / "secrets.env")
    env.read_env(DATA_DIR / "secrets.env")

# An empty value means unset.
env.ENVIRON = FileAwareMapping({name: value for name, value in os.environ.items() if value})

if missing := [name for name in ("SECRET_KEY", "ENCRYPTION_KEYS") if name not in env]:
    raise ImproperlyConfigured(
        f"With DATABASE_URL set, {' and '.join(missing)} must be set too: docs/settings.md"
    )
SECRET_KEY = env.str("SECRET_KEY")
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS")
INTERNAL_SECRET = env.str("INTERNAL_SECRET", default="")
SHOP_SECRET = env.str("SHOP_SECRET", default="")
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
DEBUG = env.bool("DEBUG", default=False)

# --- Internal API ------------------------------------------------------------------------
INTERNAL_NETWORKS = _networks("INTERNAL_NETWORKS")
SHOP_NETWORKS = _networks("SHOP_NETWORKS")
INTERNAL_REFUSE_UNKNOWN_KEYS = env.bool("INTERNAL_REFUSE_UNKNOWN_KEYS", default=True)
WHITELIST_SEEN_ONLY = env.bool("WHITELIST_SEEN_ONLY", default=False)
AUDIT_RETENTION_DAYS = env.int("AUDIT_RETENTION_DAYS", default=365)

# --- What the world calls us -------------------------------------------------------------
HOST: str = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
_address = f"[{HOST}]" if ":" in HOST else HOST
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://{_address}:{PORT}").rstrip("/")
TRUSTED_PROXIES = _networks("TRUSTED_PROXIES")

with _blaming("PUBLIC_URL"):
    _public = urlsplit(PUBLIC_URL)
_https = _public.scheme == "https"
# A home that opens HOST to its network without a PUBLIC_URL is reached by whatever address
# the router handed out, which nobody can list here.
_any_host = HOST in {"0.0.0.0", "::"} and not env.str("PUBLIC_URL", default="")  # noqa: S104
ALLOWED_HOSTS = (
    ["*"] if _any_host else [_public.hostname or "localhost", "localhost", "127.0.0.1", "[::1]"]
)
# Where the Ruuvi Station web UI is; the link in a sign-in mail can go on to it.
STATION_URL = env.str("STATION_URL", default="").rstrip("/")
IOS_APP_ID = env.str("IOS_APP_ID", default="")
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 365 * 86400 if _https else 0
# ruuvinet.lib.http removes this header unless a trusted proxy set it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # no redirect to https: a redirected gateway sends a broken body
    "security.W005",  # HSTS for subdomains and
    "security.W021",  # preloading: both would bind all of the owner's domain, for years
]

# --- Application -------------------------------------------------------------------------
INSTALLED_APPS = [
    "ruuvinet",
    "gateways",
    "alerts",
    "sensors",
    "subscriptions",
    "accounts",
    "operations",
    "unfold",  # before the admin, whose templates it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "django_otp",
]
MIDDLEWARE = [
    "ruuvinet.lib.http.TrustedProxyMiddleware",  # first: all others see the true client
    "ruuvinet.lib.logs.RequestIdMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # around all that may answer an error
    "gateways.networks.BlockedNetworksMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "ruuvinet.lib.http.HostMiddleware",
    "ruuvinet.lib.http.ConsolePolicyMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "accounts.second_factor_console.SecondFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last: turns a locked-out sign-in into its answer
]
ROOT_URLCONF = "ruuvinet.urls"
APPEND_SLASH = False  # a redirected POST loses its body
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "ruuvinet.formats"
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # straight from the packages: no collectstatic step

# --- Database ----------------------------------------------------------------------------
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": _database(DATABASE_URL or f"sqlite:///{DATA_DIR / 'ruuvinet.sqlite3'}")}
EMBEDDED_DATABASE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
if EMBEDDED_DATABASE:
    DATABASES["default"]["CONN_MAX_AGE"] = None
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # a read that turns into a write never deadlocks
        "timeout": 5,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            # A checkpoint each 32 MB instead of 4, since sensors' pages change again and again;
            # and pages are read where they lie, without a copy for each connection.
            "PRAGMA wal_autocheckpoint=8000; PRAGMA mmap_size=268435456;"
        ),
    }
else:
    # A connection for each thread. Not psycopg's pool: after a restart of the database its
    # waiting requests fail until all broken connections are used up.
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 2)

# --- History -------------------------------------------------------------------------------
# What one partition holds (PostgreSQL); and the oldest time that a reading may have.
PARTITION_DAYS = env.int("PARTITION_DAYS", default=7)
DENSE_RETENTION_DAYS = env.int("DENSE_RETENTION_DAYS", default=90)
# Kept longer where a plan lets people read more.
SPARSE_RETENTION_DAYS = env.int("SPARSE_RETENTION_DAYS", default=3650)

# --- Cache: how often somebody called -----------------------------------------------------
_local_cache = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "OPTIONS": {"MAX_ENTRIES": 100_000},  # it forgets at random when full
}
_redis_cache = {
    "BACKEND": "django.core.cache.backends.redis.RedisCache",
    "LOCATION": REDIS_URL,
    "KEY_PREFIX": "ruuvinet",
    "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
}
CACHES = {"default": _redis_cache if REDIS_URL else _local_cache, "local": _local_cache}

# --- Pictures of sensors -------------------------------------------------------------------
# Below the data folder, unless a bucket or another place is named.
_picture_folder = {
    "location": str(DATA_DIR),
    "base_url": env.str("PUBLIC_URL", default="").rstrip("/") + "/",
    "allow_overwrite": True,  # an app repeats an upload whose answer it did not get
}
PICTURE_STORAGE = env.str("PICTURE_STORAGE", default="")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "pictures": {
        "BACKEND": PICTURE_STORAGE or "django.core.files.storage.FileSystemStorage",
        "OPTIONS": env.json("PICTURE_STORAGE_OPTIONS", default={})
        if PICTURE_STORAGE
        else _picture_folder,
    },
}

# --- People and secrets ------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "admin:index"  # of those who come to the sign-in page by a bookmark
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "accounts.second_factor.PersonBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# Whether whoever opens the console needs a second factor, or may have one.
SECOND_FACTOR_REQUIRED = env.bool("SECOND_FACTOR_REQUIRED", default=False)
AXES_FAILURE_LIMIT = 10
AXES_VERBOSE = False  # no word about itself at every start
AXES_COOLOFF_TIME = timedelta(minutes=15)
# The sign-in form's name for it. What axes takes otherwise, the model's "email", locks nobody out.
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "accounts.sign_in.counted_name"
# It keeps what was posted, without what is named here.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code", "sealed"]
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # a stranger must not lock others out

# --- Gateways ----------------------------------------------------------------------------
GATEWAY_RATE_S = env.int("GATEWAY_RATE_S", default=60)
# Posts of one gateway that come closer together are answered with twice its period; 0: never.
GATEWAY_FASTEST_S = env.int("GATEWAY_FASTEST_S", default=5)
# What a gateway's post must carry, unless its group or the gateway itself says otherwise.
GATEWAY_POLICY = env.str("GATEWAY_POLICY", default="signature")
# How long what gateways tell about themselves and are served is kept.
GATEWAY_HISTORY_DAYS = env.int("GATEWAY_HISTORY_DAYS", default=365)
# Threads of each web process for everything but `/record`, which needs none.
WEB_THREADS = env.int("WEB_THREADS", default=32)
# Posts that one process may have in hand; the next ones are answered 429.
QUEUE_LIMIT = env.int("QUEUE_LIMIT", default=400)

# --- Mail and push -----------------------------------------------------------------------
# Without a mail server mails stay in the console, where a superuser may read them: accounts.mail.
EMAIL_URL = env.str("EMAIL_URL", default="")
with _blaming("EMAIL_URL"):
    vars().update(env.email_url("EMAIL_URL", default="dummymail://"))
EMAIL_TIMEOUT = 20  # seconds; far below the lease of a mail
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", default=f"Ruuvi <noreply@{_public.hostname or 'localhost'}>"
)
FCM_SERVICE_ACCOUNT_FILE = env.str("FCM_SERVICE_ACCOUNT_FILE", default="")
FCM_BASE_URL = env.str("FCM_BASE_URL", default="")
FCM_LOC_KEYS = env.bool("FCM_LOC_KEYS", default=False)

# --- Alerts ------------------------------------------------------------------------------
# How long all must be well before an alert ends; 0 ends it at once.
ALERT_RESOLVED_AFTER_S = env.int("ALERT_RESOLVED_AFTER_S", default=300)
# What is told later than this says so, and when it happened.
ALERT_LATE_AFTER_S = env.int("ALERT_LATE_AFTER_S", default=15 * 60)
# Whether a person's webhook may lie in our own network, which others could probe through us.
# How long events that ended, and whom they were told to, are kept.
ALERT_RETENTION_DAYS = env.int("ALERT_RETENTION_DAYS", default=365)
WEBHOOK_PRIVATE_ADDRESSES = env.bool("WEBHOOK_PRIVATE_ADDRESSES", default=False)

# --- Console -----------------------------------------------------------------------------
UNFOLD: dict[str, object] = {
    "SITE_TITLE": "RuuviNet",
    "SITE_HEADER": "RuuviNet",
    "SITE_URL": None,  # there is no other site to view
    "SITE_ICON": lambda request: f"/{STATIC_URL}ruuvinet/icon.svg",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: f"/{STATIC_URL}ruuvinet/icon.svg",
        }
    ],
    "STYLES": [lambda request: f"/{STATIC_URL}ruuvinet/console.css"],
    "SCRIPTS": [lambda request: f"/{STATIC_URL}ruuvinet/console.js"],
    "DASHBOARD_CALLBACK": "ruuvinet.dashboard.dashboard",
    "SIDEBAR": {"navigation": "ruuvinet.dashboard.navigation"},
    "ACCOUNT": {
        "navigation": [{"title": gettext_lazy("Second factor"), "link": "/admin/second-factor"}]
    },
    "BORDER_RADIUS": "6px",
    # Ruuvi's green, dark enough for white letters on it and for links on white.
    "COLORS": {
        "primary": {
            "50": "#effaf8",
            "100": "#d2f2ed",
            "200": "#a6e4dc",
            "300": "#72cfc5",
            "400": "#43b5aa",
            "500": "#2ba89d",
            "600": "#14746d",
            "700": "#125d58",
            "800": "#124b47",
            "900": "#123e3b",
            "950": "#042423",
        }
    },
}

# --- API ---------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "ruuvinet.lib.api.exception_handler",
    "DEFAULT_PARSER_CLASSES": ["ruuvinet.lib.api.AnyTypeJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": ["subscriptions.throttling.PlanThrottle"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "ruuvinet.api_schema.ApiSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "RuuviNet",
    "DESCRIPTION": "The API of the Ruuvi Station apps, of gateways and of the machines around.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SORT_OPERATIONS": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["ruuvinet.api_schema.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",  # served from here: no CDN learns who reads it
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# The web UI lives on another origin and sends its token in a header, never a cookie.
CORS_ALLOW_ALL_ORIGINS = True
CORS_URLS_REGEX = r"^/(?!admin(/|$))"
CORS_ALLOW_METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
CORS_ALLOW_HEADERS = ["Authorization", "Content-Type"]  # "*" would leave Authorization out
CORS_EXPOSE_HEADERS = ["Retry-After"]
CORS_PREFLIGHT_MAX_AGE = 86400

# --- Jobs --------------------------------------------------------------------------------
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULER = "operations.beat:Scheduler"
# A worker serves both unless `-Q celery` or `-Q delivery` says otherwise: docs/reliability.md.
CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in ("celery", "delivery")]
CELERY_TASK_ROUTES = {"alerts.deliver": {"queue": "delivery"}}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False  # the sweep finds what a lost message left behind
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
        # Otherwise a publisher, which a gateway may wait for, sleeps and tries again for seconds.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
    }
else:
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT = "ruuvinet.lib.broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA_DIR / "broker"),
        "data_folder_out": str(DATA_DIR / "broker"),
        "control_folder": str(DATA_DIR / "broker-control"),
        "polling_interval": 0.2,
    }

# --- Log ---------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL!r}. Use DEBUG, INFO, WARNING or ERROR")
LOG_FORMAT = env.str("LOG_FORMAT", default="text")
if LOG_FORMAT not in {"text", "json"}:
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}. Use text or json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "ruuvinet.lib.logs.Json"},
        "text": {
            "()": "ruuvinet.lib.logs.Text",
            "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
            "datefmt": "%H:%M:%S",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "loggers": {
        # A stranger's refused posts are noted in the console; they must not fill the log.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "axes": {"level": "WARNING"},
        "_granian": {"handlers": [], "propagate": True},  # in our form, where it loaded us
        # Otherwise two lines for each post of each gateway.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}

SENTRY_DSN = env.str("SENTRY_DSN", default="")
if SENTRY_DSN:
    from ruuvinet.lib import sentry

    with _blaming("SENTRY_DSN"):
        sentry.start(SENTRY_DSN)
