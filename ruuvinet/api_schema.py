"""The OpenAPI document: what each endpoint takes and answers, for people and for the tests.

Requests are read from the serializers that judge them. Answers are written down here, and
schemathesis holds the application to them. Served at /api/schema and /api/docs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.module_loading import import_string
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import Serializer

JsonSchema = dict[str, Any]

CODES = [
    *("ER_FORBIDDEN", "ER_UNAUTHORIZED", "ER_INTERNAL", "ER_INVALID_FORMAT", "ER_USER_NOT_FOUND"),
    *("ER_SENSOR_NOT_FOUND", "ER_TOKEN_EXPIRED", "ER_THROTTLED", "ER_CONFLICT"),
    *("ER_GATEWAY_NOT_FOUND", "ER_GATEWAY_ALREADY_WHITELISTED"),
    *("ER_SUBSCRIPTION_NOT_FOUND", "ER_SUBSCRIPTION_CODE_USED", "ER_SUBSCRIPTION_CODE_EXISTS"),
    *("ER_SHARE_COUNT_REACHED", "ER_SENSOR_SHARE_COUNT_REACHED", "ER_CLAIM_COUNT_REACHED"),
    *("ER_NO_DATA_TO_SHARE", "ER_SENSOR_ALREADY_SHARED", "ER_SENSOR_ALREADY_CLAIMED"),
    *("ER_SENSOR_ALREADY_REGISTERED", "ER_UNABLE_TO_SEND_EMAIL", "ER_MISSING_ARGUMENT"),
    *("ER_INVALID_DENSITY_MODE", "ER_INVALID_SORT_MODE", "ER_INVALID_TIME_RANGE"),
    *("ER_INVALID_EMAIL_ADDRESS", "ER_INVALID_MAC_ADDRESS", "ER_INVALID_ENUM_VALUE"),
    "ER_INVALID_ARGUMENT",
]
SUB_CODES = ["ER_SUB_DATA_STORAGE_ERROR", "ER_SUB_NO_USER", "ER_OLD_ENTRY"]
# Each of the alert types; min and max are numbers for all of them.
MAC_PATTERN = "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"


# --- Words of JSON Schema -------------------------------------------------------------------
def obj(optional: Mapping[str, JsonSchema] | None = None, /, **required: JsonSchema) -> JsonSchema:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def many(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def mapping(values: JsonSchema) -> JsonSchema:
    return {"type": "object", "additionalProperties": values}


def const(value: object) -> JsonSchema:
    return {"const": value}


def one_of(*values: object) -> JsonSchema:
    return {"enum": list(values)}


def ref(name: str) -> JsonSchema:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: JsonSchema = {"type": "string"}
NUMBER: JsonSchema = {"type": "number"}
INTEGER: JsonSchema = {"type": "integer"}
BOOLEAN: JsonSchema = {"type": "boolean"}
EMAIL: JsonSchema = {"type": "string", "examples": ["matti@meikalainen.com"]}
MAC: JsonSchema = {"type": "string", "pattern": MAC_PATTERN, "examples": ["F4:1F:0C:28:CB:D6"]}
UNIX_S: JsonSchema = {"type": "integer", "description": "Unix seconds", "examples": [1775069475]}
INSTANT: JsonSchema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    "examples": ["2026-04-01T18:51:15.000Z"],
}
MAYBE_UNIX_S = {**UNIX_S, "type": ["integer", "null"]}
MAYBE_TEXT: JsonSchema = {"type": ["string", "null"]}

OFFSETS = {
    "offsetTemperature": {**NUMBER, "description": "°C"},
    "offsetHumidity": {**NUMBER, "description": "percentage points"},
    "offsetPressure": {**NUMBER, "description": "Pa"},
}
LOOK = {"name": TEXT, "picture": TEXT, "public": BOOLEAN, **OFFSETS}
PLAN = {
    "subscriptionName": TEXT,
    "maxClaims": INTEGER,
    "maxShares": INTEGER,
    "maxSharesPerSensor": INTEGER,
    "maxHistoryDays": INTEGER,
    "maxResolutionMinutes": INTEGER,
    "isActive": BOOLEAN,
}
PUSH_TOKEN = {"id": INTEGER, "lastAccessed": UNIX_S, "name": TEXT}
WEBHOOK = {
    "url": TEXT,
    "createdAt": UNIX_S,
    "retiredAt": MAYBE_UNIX_S,
    "retiredReason": TEXT,
}
ALERT = {
    "type": TEXT,
    "min": NUMBER,
    "max": NUMBER,
    "enabled": BOOLEAN,
    "counter": INTEGER,
    "delay": {**INTEGER, "description": "seconds"},
    "description": TEXT,
    "triggered": BOOLEAN,
    "triggeredAt": INSTANT,
    "lastUpdated": UNIX_S,
}
COMPONENTS: dict[str, JsonSchema] = {
    "Error": obj(
        {"code": one_of(*CODES), "sub_code": one_of(*SUB_CODES)}, result=const("error"), error=TEXT
    ),
    "Measurement": obj(
        gwmac=MAC,
        coordinates=TEXT,
        rssi={**INTEGER, "description": "dBm"},
        timestamp=UNIX_S,
        data={
            "type": "string",
            "pattern": "^[0-9A-F]*$",
            "description": "the advertisement in hex; offsets are not applied",
            "examples": ["0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"],
        },
    ),
    "Alert": obj(**ALERT),
    "SensorPlan": obj(
        **PLAN,
        emailAlertAllowed=BOOLEAN,
        pushAlertAllowed=BOOLEAN,
        telegramAlertAllowed=BOOLEAN,
        offlineAlertAllowed=BOOLEAN,
        delayedAlertAllowed=BOOLEAN,
        pdfExportAllowed=BOOLEAN,
        endAt=MAYBE_TEXT,
    ),
    "SensorDense": obj(
        sensor=MAC,
        owner=TEXT,
        **LOOK,
        canShare=BOOLEAN,
        measurements={**many(ref("Measurement")), "maxItems": 1},
        sharedTo=many(TEXT),
        sharedToPending=many(TEXT),
        alerts=many(ref("Alert")),
        subscription=ref("SensorPlan"),
        settings=mapping({"type": ["string", "integer"]}),
        lastUpdated=UNIX_S,
    ),
    "Subscription": obj({"validDays": INTEGER}, **PLAN, startTime=UNIX_S, endTime=MAYBE_UNIX_S),
}
SENSOR_OF_LIST = {
    "sensor": MAC,
    **LOOK,
    "canShare": BOOLEAN,
    "measurements": {**many(ref("Measurement")), "maxItems": 1},
}
GATEWAY_INFO = obj(
    GatewayId=TEXT,
    Whitelisted=UNIX_S,
    Connected=UNIX_S,
    Latest=UNIX_S,
    InvalidSignatureTimestamp=UNIX_S,
)
SHOP_CODE = obj(
    **{name: kind for name, kind in PLAN.items() if name != "isActive"},
    validDays=INTEGER,
    claimCode=TEXT,
    creatorId=TEXT,
)


# --- Endpoints ------------------------------------------------------------------------------
class Endpoint(NamedTuple):
    """`data` of the answer, None when there is none; who judges the request; further statuses.

    Some take and answer more: `lists` of what they ask for, `other_asks`, `other_answers`.
    """

    data: JsonSchema | None
    asks: str = ""  # a serializer
    errors: tuple[int, ...] = ()
    beside: Mapping[str, JsonSchema] = {}
    lists: bool = False
    other_asks: tuple[JsonSchema, ...] = ()
    other_answers: tuple[JsonSchema, ...] = ()


ACTION = obj(action=one_of("added", "updated"))
STATUS = {"status": const("success")}
SENSOR = obj(sensor=MAC)
SIGNED_IN = obj(email=EMAIL, accessToken=TEXT, newUser=BOOLEAN)
WHITELISTED = obj(macAddress=TEXT, blockedAt=MAYBE_UNIX_S)
ALL_WHITELISTED = obj(
    result=const("success"),
    gateways=many(obj(gateway=TEXT, blockedAt=MAYBE_UNIX_S)),
    data=obj(gateways=many(WHITELISTED)),
)
NETWORK = obj(ipAddress={"type": "string", "maxLength": 64, "examples": ["198.51.100.0/24"]})
NETWORK_DECIDED = obj(result=const("success"), ipAddress=TEXT, data=obj(ipAddress=TEXT))

ENDPOINTS: dict[str, Endpoint] = {
    # people
    "POST /register": Endpoint(
        obj({"token": TEXT}, email=EMAIL), "accounts.serializers.RegisterRequest", (403,)
    ),
    "GET /verify": Endpoint(SIGNED_IN, "accounts.serializers.TokenRequest", (403, 493)),
    "POST /verify": Endpoint(SIGNED_IN, "", (403, 493)),
    "GET /verify/{token}": Endpoint(SIGNED_IN, "", (403, 404, 493)),
    "POST /verify/{token}": Endpoint(SIGNED_IN, "", (403, 404, 493)),
    "GET /verify-delete": Endpoint(None, "accounts.serializers.TokenRequest", (403,)),
    "POST /verify-delete": Endpoint(None, "", (403,)),
    "GET /verify-delete/{token}": Endpoint(None, "", (403, 404)),
    "POST /verify-delete/{token}": Endpoint(None, "", (403, 404)),
    "GET /sessions": Endpoint(
        obj(sessions=many(obj(id=INTEGER, createdAt=UNIX_S, lastAccessed=UNIX_S, current=BOOLEAN)))
    ),
    "DELETE /sessions": Endpoint(None),
    "DELETE /sessions/{session_id}": Endpoint(None, "", (404,)),
    "GET /settings": Endpoint(
        obj(settings=mapping({"type": ["string", "integer"]})), beside=STATUS
    ),
    "POST /settings": Endpoint(
        ACTION, "accounts.serializers.SettingRequest", (409,), beside=STATUS
    ),
    "POST /request-delete": Endpoint(
        obj(email=EMAIL), "accounts.serializers.DeleteRequest", (403,)
    ),
    "GET /subscription": Endpoint(obj(subscriptions=many(ref("Subscription")))),
    "POST /subscription": Endpoint(
        obj(subscriptions=many(ref("Subscription"))),
        "subscriptions.serializers.ClaimCodeRequest",
        (404, 409),
    ),
    # sensors
    "GET /user": Endpoint(obj(email=EMAIL, sensors=many(obj(sensor=MAC, owner=TEXT, **LOOK)))),
    "POST /claim": Endpoint(SENSOR, "sensors.serializers.SensorClaimRequest", (409,)),
    "GET /check": Endpoint(
        obj(email=TEXT, sensor=MAC), "sensors.serializers.CheckRequest", beside=STATUS
    ),
    "POST /contest-sensor": Endpoint(SENSOR, "sensors.serializers.ContestRequest", (403,)),
    "POST /unclaim": Endpoint(obj(), "sensors.serializers.UnclaimRequest", (403, 404)),
    "POST /share": Endpoint(
        obj(sensor=MAC, invited=BOOLEAN), "sensors.serializers.ShareRequest", (403, 409)
    ),
    "POST /unshare": Endpoint(obj(), "sensors.serializers.UnshareRequest", (403, 404)),
    "GET /shared": Endpoint(
        obj(sensors=many(obj(sensor=MAC, name=TEXT, picture=TEXT, public=BOOLEAN, sharedTo=TEXT)))
    ),
    "GET /sensors": Endpoint(
        obj(
            sensors=many(obj(**SENSOR_OF_LIST, sharedTo=many(TEXT), sharedToPending=many(TEXT))),
            sharedToMe=many(obj(**SENSOR_OF_LIST)),
        ),
        "sensors.serializers.SensorsRequest",
    ),
    "GET /sensors-dense": Endpoint(
        obj(sensors=many(ref("SensorDense"))), "sensors.serializers.SensorsDenseRequest"
    ),
    "GET /get": Endpoint(
        obj(
            sensor=MAC,
            **{**LOOK, "public": one_of(0, 1)},
            total=INTEGER,
            measurements={**many(ref("Measurement")), "maxItems": 5000},
        ),
        "sensors.serializers.HistoryRequest",
        (403,),
    ),
    "POST /update": Endpoint(
        obj(
            {
                "name": TEXT,
                "picture": TEXT,
                "public": {},  # as it was given
                **{key: {"type": ["number", "string"]} for key in OFFSETS},
            },
            sensor=MAC,
        ),
        "sensors.serializers.UpdateRequest",
        (403, 404, 409),
    ),
    "POST /upload": Endpoint(
        obj(uploadURL=TEXT, guid=TEXT), "sensors.serializers.UploadRequest", (403, 404)
    ),
    "POST /sensor-settings": Endpoint(
        ACTION, "sensors.serializers.SettingsRequest", (403, 404, 409)
    ),
    # alerts
    "GET /alerts": Endpoint(
        obj(
            sensors=many(obj(sensor=MAC, alerts=many(ref("Alert")))),
            alerts=many(obj(**ALERT, userId=INTEGER, sensorId=MAC, **OFFSETS)),
        ),
        "alerts.serializers.AlertsQuery",
        (403,),
    ),
    "POST /alerts": Endpoint(
        obj(action=const("success")), "alerts.serializers.AlertRequest", (403, 409)
    ),
    "POST /push-register": Endpoint(
        obj(tokenId=INTEGER, **PUSH_TOKEN), "alerts.serializers.PushRegisterRequest"
    ),
    "POST /push-unregister": Endpoint(None, "alerts.serializers.PushUnregisterRequest", (404,)),
    "GET /push-list": Endpoint(obj(tokens=many(obj(**PUSH_TOKEN)))),
    "GET /webhooks": Endpoint(obj(webhooks=many(obj(**WEBHOOK)))),
    "POST /webhooks": Endpoint(
        obj(webhook=obj(**WEBHOOK, secret=TEXT)), "alerts.serializers.WebhookRequest"
    ),
    "DELETE /webhooks": Endpoint(None),
    # others
    "GET /air_firmwareupdate": Endpoint(
        obj(**{key: {"type": "null"} for key in ("latest", "beta", "alpha")})
    ),
    "POST /whitelist": Endpoint(
        obj(gateway=WHITELISTED),
        "gateways.serializers.WhitelistRequest",
        (403, 409),
        beside={"gateway": TEXT, "blockedAt": MAYBE_UNIX_S},
        lists=True,
        other_asks=(NETWORK,),
        other_answers=(ALL_WHITELISTED, NETWORK_DECIDED),
    ),
    "POST /blacklist": Endpoint(
        obj(gateway=TEXT),
        "gateways.serializers.BlacklistRequest",
        (403,),
        beside={"gateway": TEXT},
        other_asks=(NETWORK,),
        other_answers=(NETWORK_DECIDED,),
    ),
    "GET /gwinfo": Endpoint(obj(gateway=GATEWAY_INFO), "", (401,)),
    "POST /register-sensor": Endpoint(
        obj(sensor=TEXT, macAddress=TEXT),
        "gateways.serializers.RegisterSensorRequest",
        (403, 409),
    ),
    "POST /subscription-register": Endpoint(
        SHOP_CODE, "subscriptions.serializers.SubscriptionRegisterRequest", (403, 409)
    ),
}
APPLE = {
    "200": {
        "description": "which iOS app opens the links in mails",
        "content": {
            "application/json": {
                "schema": obj(
                    applinks=obj(apps=many(TEXT), details=many(obj(appID=TEXT, paths=many(TEXT))))
                )
            }
        },
    }
}
MEANINGS = {
    200: "done",
    400: "something is missing or malformed",
    401: "no live token; nothing else is answered so",
    403: "not allowed",
    404: "not found",
    405: "another method",
    409: "what is stored wins",
    413: "the body is too large",
    429: "too many requests; Retry-After says when to come back",
    493: "the code is wrong, was used or has expired",
    503: "the database cannot be reached",
}


def success_schema(endpoint: Endpoint) -> JsonSchema:
    data = {} if endpoint.data is None else {"data": endpoint.data}
    usual = obj(result=const("success"), **endpoint.beside, **data)
    return any_of(usual, *endpoint.other_answers)


def any_of(*schemas: JsonSchema) -> JsonSchema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def answers(success: JsonSchema, errors: tuple[int, ...]) -> dict[str, Any]:
    """OpenAPI's `responses`."""
    schemas = {200: success, **dict.fromkeys(sorted(errors), ref("Error"))}
    return {
        str(status): {
            "description": MEANINGS[status],
            "content": {"application/json": {"schema": schema}},
        }
        for status, schema in schemas.items()
    }


class ApiSchema(AutoSchema):
    """Describes a view by its line in ENDPOINTS."""

    @property
    def endpoint(self) -> Endpoint | None:
        return ENDPOINTS.get(f"{self.method} {self.path}")

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None or self.endpoint is None:
            return operation
        always = [400, 413, 429] if self.method == "POST" else [400, 429]
        own = [*always, *self.endpoint.errors, *([401] if self.needs_token else [])]
        operation["responses"] = answers(success_schema(self.endpoint), tuple({*own}))
        for media in operation.get("requestBody", {}).get("content", {}).values():
            usual = media["schema"]
            lists = [many(usual)] if self.endpoint.lists else []
            media["schema"] = any_of(usual, *lists, *self.endpoint.other_asks)
        return operation

    @property
    def needs_token(self) -> bool:
        return bool(self.view.permission_classes)

    def _asks(self) -> type[Serializer[Any]] | None:
        asks = self.endpoint.asks if self.endpoint else ""
        return import_string(asks) if asks else None

    def get_request_serializer(self) -> Any:
        asks = self._asks()
        return asks if asks and self.method == "POST" else None

    def get_response_serializers(self) -> Any:
        return None  # see get_operation

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = []
        asks = self._asks()
        if asks and self.method == "GET":
            parameters.append(asks)
        if self.path in {"/verify", "/verify-delete"} and self.method == "POST":
            parameters.append(import_string("accounts.serializers.TokenRequest"))
        if self.path == "/gwinfo":
            parameters.append(OpenApiParameter("gateway", MAC, required=True))
        header = self._secret_header()
        if header:
            parameters.append(OpenApiParameter(header, str, OpenApiParameter.HEADER))
        return parameters

    def _secret_header(self) -> str:
        if self.path == "/subscription-register":
            return "X-Shop-Secret"
        internal = {"/whitelist", "/blacklist", "/gwinfo", "/register-sensor", "/register"}
        return "X-Internal-Secret" if self.path in internal else ""

    def get_auth(self) -> list[dict[str, Any]]:
        return [{"token": []}] if self.needs_token else []

    def get_operation_id(self) -> str:
        return f"{self.method.lower()}{self.path}".replace("/", "_").replace("-", "_").strip("{}")

    def get_tags(self) -> list[str]:
        return [str(type(self.view).__module__).partition(".")[0]]


class _FieldExtension(OpenApiSerializerFieldExtension):
    schema: JsonSchema

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> JsonSchema:
        return self.schema


class MacExtension(_FieldExtension):
    target_class = "ruuvinet.lib.serializers.MacAddress"
    schema = MAC


class GatewayMacExtension(_FieldExtension):
    target_class = "gateways.serializers.MacAddress"
    schema = MAC


class TextsExtension(_FieldExtension):
    target_class = "sensors.serializers.Texts"
    schema = {"anyOf": [TEXT, many(TEXT)]}


class ParamsExtension(_FieldExtension):
    target_class = "alerts.serializers._Params"
    schema = {"anyOf": [TEXT, {"type": "object"}]}


# --- What is not of Django REST framework ---------------------------------------------------
TAG = obj({"data": TEXT, "timestamp": {"type": ["integer", "string"]}}, rssi=INTEGER)
RECORD = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "object",
            "required": ["gw_mac", "tags"],
            "properties": {
                "gw_mac": MAC,
                "coordinates": TEXT,
                "timestamp": {"type": ["integer", "string"], "description": "Unix seconds"},
                "nonce": {"type": ["integer", "string"]},
                "tags": mapping({**TAG, "additionalProperties": True}),
            },
        }
    },
}
RECORD_EXAMPLE = {
    "data": {
        "coordinates": "60.1699,24.9384",
        "timestamp": 1775069470,
        "nonce": 2636366621,
        "gw_mac": "C8:25:2D:8E:9C:2C",
        "tags": {
            "F4:1F:0C:28:CB:D6": {
                "rssi": -70,
                "timestamp": 1775069469,
                "data": "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6",
            }
        },
    }
}
PICTURE_PATH = {
    "name": "file",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": r"^[0-9a-f-]{36}\.(png|gif|jpg)$"},
}
PICTURE_TYPES = ("image/png", "image/gif", "image/jpeg")
BYTES = {"type": "string", "format": "binary"}
OTHERS: dict[str, Any] = {
    "/record": {
        "post": {
            "operationId": "post_record",
            "summary": "What a gateway heard since its last post.",
            "description": "200 means that the readings are stored for good.",
            "tags": ["gateways"],
            "security": [],
            "parameters": [
                {
                    "name": "Ruuvi-HMAC-SHA256",
                    "in": "header",
                    "schema": TEXT,
                    "description": "HMAC of the body under the gateway's key, in hex",
                }
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": RECORD, "example": RECORD_EXAMPLE}},
            },
            "responses": answers(obj(result=const("success")), (400, 403, 413, 429, 503)),
        }
    },
    "/pictures/{file}": {
        "get": {
            "operationId": "get_picture",
            "summary": "A picture, for everybody who knows its name.",
            "tags": ["sensors"],
            "security": [],
            "parameters": [PICTURE_PATH],
            "responses": {
                "200": {
                    "description": "the picture",
                    "content": {kind: {"schema": BYTES} for kind in PICTURE_TYPES},
                },
                "404": answers({}, (404,))["404"],
            },
        },
        "put": {
            "operationId": "put_picture",
            "summary": "The second step of /upload, which made this URL.",
            "tags": ["sensors"],
            "security": [],
            "parameters": [
                PICTURE_PATH,
                {"name": "permit", "in": "query", "required": True, "schema": TEXT},
            ],
            "requestBody": {
                "required": True,
                "content": {kind: {"schema": BYTES} for kind in PICTURE_TYPES},
            },
            "responses": answers(success_schema(Endpoint(obj())), (400, 403, 404, 413)),
        },
    },
    "/health": {
        "get": {
            "operationId": "get_health",
            "summary": "That a process answers.",
            "tags": ["operation"],
            "security": [],
            "responses": {
                "200": {
                    "description": "it does",
                    "content": {"application/json": {"schema": obj(status=const("ok"))}},
                }
            },
        }
    },
    "/health/ready": {
        "get": {
            "operationId": "get_health_ready",
            "summary": "Whether posts can be taken, and what is wrong with which part.",
            "tags": ["operation"],
            "security": [],
            "responses": {
                status: {
                    "description": text,
                    "content": {
                        "application/json": {
                            "schema": obj(
                                status=one_of("ok", "impaired", "unready"), parts=mapping(TEXT)
                            )
                        }
                    },
                }
                for status, text in (("200", "yes"), ("503", "no"))
            },
        }
    },
    "/metrics": {
        "get": {
            "operationId": "get_metrics",
            "summary": "For Prometheus, in its text format; the token is METRICS_TOKEN.",
            "tags": ["operation"],
            "security": [{"token": []}],
            "responses": {
                "200": {"description": "metrics", "content": {"text/plain": {"schema": TEXT}}},
                "401": {
                    "description": "another token, or none",
                    "content": {"application/json": {"schema": ref("Error")}},
                },
            },
        }
    },
}


def complete(result: dict[str, Any], generator: Any, request: Any, public: Any) -> dict[str, Any]:
    """Drf-spectacular's last step: add what is not of Django REST framework."""
    for path in ("/apple-app-site-association", "/.well-known/apple-app-site-association"):
        result["paths"][path]["get"]["responses"] = APPLE
    result["paths"].update(OTHERS)
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(COMPONENTS)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return result
