import re

from rest_framework import serializers

MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


def parse_mac(text):
    if not isinstance(text, str) or not MAC.fullmatch(text):
        raise serializers.ValidationError("not a MAC address")
    return int(text.replace(":", ""), 16)


class MacField(serializers.Field):
    def to_internal_value(self, data):
        return parse_mac(data)


class HexField(serializers.Field):
    def to_internal_value(self, data):
        try:
            return bytes.fromhex(data)
        except (TypeError, ValueError) as error:
            raise serializers.ValidationError("not hexadecimal") from error


class TagSerializer(serializers.Serializer):
    rssi = serializers.IntegerField(min_value=-128, max_value=127)
    timestamp = serializers.IntegerField(required=False)
    data = HexField()


class UploadSerializer(serializers.Serializer):
    gw_mac = MacField()
    timestamp = serializers.IntegerField(required=False)
    nonce = serializers.IntegerField(required=False)
    tags = serializers.DictField(child=TagSerializer())

    def validate_tags(self, tags):
        return {parse_mac(mac): tag for mac, tag in tags.items()}


class BodySerializer(serializers.Serializer):
    data = UploadSerializer()
