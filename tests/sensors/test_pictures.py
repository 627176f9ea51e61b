"""Pictures: a place to put one, what is accepted there, and when it goes."""

import io
import os

import pytest
import time_machine
from django.core import signing
from PIL import Image, PngImagePlugin

from sensors import pictures
from sensors.models import Access
from sensors.services import set_picture
from tests.sensors.conftest import NOW, PORCH, at, refused

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
SECRETIVE = b"60.1699 N 24.9384 E"


def picture(format_="JPEG", size=(40, 30), mode="RGB", **options) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 1).save(out, format_, **options)
    return out.getvalue()


@pytest.fixture
def upload(signed_in, folder):
    def upload(user, type_="image/jpeg", **changed):
        return signed_in(user).post(
            "/upload", {"sensor": str(PORCH), "action": "upload", "type": type_, **changed}
        )

    return upload


@pytest.fixture
def put(client):
    def put(url, content, content_type="image/jpeg"):
        return client.generic("PUT", url, content, CONTENT_TYPE=content_type)

    return put


@pytest.fixture
def place(upload, porch, alice):
    """A place for alice's JPEG picture."""
    return upload(alice).json()["data"]["uploadURL"]


def files(folder) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


class TestUpload:
    @pytest.mark.parametrize(
        ("type_", "format_", "extension"),
        [("image/jpeg", "JPEG", "jpg"), ("image/png", "PNG", "png"), ("image/gif", "GIF", "gif")],
    )
    def test_a_picture_is_put_and_seen(
        self, porch, alice, upload, put, client, signed_in, type_, format_, extension
    ):
        data = upload(alice, type_).json()["data"]
        assert put(data["uploadURL"], picture(format_), type_).json() == {
            "result": "success", "data": {},
        }  # fmt: skip

        (sensor,) = signed_in(alice).get("/user").json()["data"]["sensors"]
        assert sensor["picture"] == f"http://testserver/pictures/{data['guid']}.{extension}"
        reply = client.get(sensor["picture"], headers={"Origin": "https://station.example"})
        assert (reply.status_code, reply["Content-Type"]) == (200, type_)
        assert reply["Access-Control-Allow-Origin"] == "*"
        with Image.open(io.BytesIO(b"".join(reply))) as shown:
            assert (shown.format, shown.size) == (format_, (40, 30))

    def test_the_profile_shows_it_before_the_bytes_arrive(self, porch, alice, upload):
        guid = upload(alice).json()["data"]["guid"]
        access = Access.objects.get()
        assert (access.picture, access.edited_at) == (f"pictures/{guid}.jpg", at(NOW))

    def test_a_sharee_has_a_picture_of_his_own(self, shared_porch, alice, bob, upload):
        assert upload(bob).status_code == 200
        assert Access.objects.get(user=alice).picture == ""

    @pytest.mark.parametrize("rest", [{"type": ""}, {"type": None}, {"type": 7}, {}])
    def test_reset_shows_none(self, porch, alice, upload, signed_in, rest):
        upload(alice)
        reply = signed_in(alice).post("/upload", {"sensor": str(PORCH), "action": "reset", **rest})
        assert reply.json()["data"] == {"uploadURL": "", "guid": ""}
        assert Access.objects.get().picture == ""

    def test_strangers_find_no_sensor(self, porch, charlie, upload):
        assert refused(upload(charlie), 404, "ER_SENSOR_NOT_FOUND", "Sensor not owned or found.")

    def test_a_browser_may_ask_first(self, place, client):
        reply = client.options(
            place,
            headers={
                "Origin": "https://station.example",
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "content-type",
            },
        )
        assert reply.status_code == 200
        assert "PUT" in reply["Access-Control-Allow-Methods"]
        assert "content-type" in reply["Access-Control-Allow-Headers"].lower()


class TestPermit:
    def test_it_may_be_used_again_by_an_app_that_got_no_answer(self, place, put, folder):
        assert [put(place, picture()).status_code for _ in range(2)] == [200, 200]
        assert len(files(folder)) == 1

    def test_it_ends_after_a_quarter_of_an_hour(self, place, put):
        with time_machine.travel(NOW + 899, tick=False):
            assert put(place, picture()).status_code == 200
        with time_machine.travel(NOW + 901, tick=False):
            assert refused(put(place, picture()), 403, "ER_FORBIDDEN")

    def test_it_is_for_one_name(self, place, upload, alice, put, folder):
        other = upload(alice).json()["data"]["uploadURL"]
        crossed = other.partition("?")[0] + "?" + place.partition("?")[2]
        assert refused(put(crossed, picture()), 403, "ER_FORBIDDEN")
        assert files(folder) == []

    @pytest.mark.parametrize(
        "permit", ["", "?permit=", "?permit=x", "?permit=a:b:c", "?permit=%00"]
    )
    def test_without_one_nothing_is_stored(self, place, put, folder, permit):
        assert refused(put(place.partition("?")[0] + permit, picture()), 403, "ER_FORBIDDEN")
        assert files(folder) == []

    def test_another_signature_of_ours_is_none(self, place, put):
        name = place.partition("?")[0].rpartition("/")[2]
        signed = signing.TimestampSigner(salt="another purpose").sign(f"pictures/{name}")
        url = f"/pictures/{name}?permit={signed.rpartition('/')[2]}"
        assert refused(put(url, picture()), 403, "ER_FORBIDDEN")

    def test_it_is_for_one_type(self, place, put):
        assert refused(put(place, picture("PNG"), "image/png"), 403, "ER_FORBIDDEN")

    def test_nothing_is_stored_that_nobody_waits_for(self, place, alice, put, folder):
        set_picture(user=alice, mac=PORCH, picture="", at=at(NOW))
        assert refused(put(place, picture()), 403, "ER_FORBIDDEN")
        assert files(folder) == []


class TestContent:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<html><script>alert(1)</script>",
            picture("PNG"),
            picture()[:200],
            picture()[:-200],
            b"\xff\xd8\xff" + b"\x00" * 100,
        ],
        ids=["nothing", "a page", "another type", "a head", "most of one", "a mark"],
    )
    def test_what_is_no_jpeg_is_refused(self, place, put, folder, content):
        assert refused(put(place, content), 400, "ER_INVALID_FORMAT")
        assert files(folder) == []

    def test_colours_without_a_palette_are_refused(self, porch, alice, upload, put, folder):
        content = picture("PNG", mode="P")
        start = content.index(b"PLTE") - 4
        length = int.from_bytes(content[start : start + 4], "big")
        content = content[:start] + content[start + 12 + length :]
        url = upload(alice, "image/png").json()["data"]["uploadURL"]
        assert refused(put(url, content, "image/png"), 400, "ER_INVALID_FORMAT")
        assert files(folder) == []

    @pytest.mark.parametrize("size", [(6000, 6000), (60_000, 1000), (30_000, 30_000)])
    def test_a_bomb_is_refused_unopened(self, porch, alice, upload, put, folder, size):
        # Its head says how large it is; nothing of that size is made here.
        chunk = (
            (size[0]).to_bytes(4, "big") + (size[1]).to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
        )
        small = picture("PNG")
        crc = __import__("zlib").crc32(b"IHDR" + chunk).to_bytes(4, "big")
        bomb = small[:16] + chunk + crc + small[33:]
        url = upload(alice, "image/png").json()["data"]["uploadURL"]
        assert refused(put(url, bomb, "image/png"), 400, "ER_INVALID_FORMAT")
        assert files(folder) == []

    def test_more_than_ten_megabytes_are_refused(self, place, put, folder):
        assert refused(put(place, picture() + bytes(pictures.MAX_BYTES)), 413, "ER_INVALID_FORMAT")
        assert files(folder) == []

    def test_ten_are_not(self, place, put):
        content = picture()
        assert put(place, content + bytes(pictures.MAX_BYTES - len(content))).status_code == 200

    def test_metadata_and_what_hides_behind_a_picture_is_gone(self, place, put, folder):
        exif = Image.Exif()
        exif[0x010E] = SECRETIVE.decode()
        content = picture(exif=exif, comment=SECRETIVE, icc_profile=SECRETIVE) + SECRETIVE
        assert content.count(SECRETIVE) == 4
        put(place, content)
        (name,) = files(folder)
        assert SECRETIVE not in (folder / name).read_bytes()

    def test_text_in_a_png_is_gone(self, porch, alice, upload, put, folder):
        info = PngImagePlugin.PngInfo()
        info.add_text("Location", SECRETIVE.decode())
        url = upload(alice, "image/png").json()["data"]["uploadURL"]
        put(url, picture("PNG", pnginfo=info), "image/png")
        (name,) = files(folder)
        assert SECRETIVE not in (folder / name).read_bytes()

    def test_a_turned_photo_stands_upright(self, place, put, folder):
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by a quarter
        put(place, picture(size=(40, 30), exif=exif))
        (name,) = files(folder)
        with Image.open(folder / name) as stored:
            assert stored.size == (30, 40)

    def test_a_photo_with_odd_exif_is_taken_as_it_lies(self, place, put, folder):
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x011A] = 1.5
        content = picture(size=(40, 30), exif=exif)
        # As if the resolution were text, and the turn no number.
        for tag in (b"\x01\x1a\x00\x05", b"\x01\x12\x00\x03"):
            assert content.count(tag) == 1
            content = content.replace(tag, tag[:3] + b"\x02")
        assert put(place, content).status_code == 200
        (name,) = files(folder)
        with Image.open(folder / name) as stored:
            assert stored.size == (40, 30)

    @pytest.mark.parametrize("turn", range(1, 9))
    def test_every_turn_is_undone(self, place, put, folder, turn):
        upright = Image.new("L", (40, 30))
        upright.paste(255, (0, 0, 20, 15))  # light at the top left
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how the camera held it
        exif = Image.Exif()
        exif[0x0112] = turn
        out = io.BytesIO()
        lying = upright.transpose(undo[turn]) if turn > 1 else upright
        lying.save(out, "JPEG", exif=exif)
        put(place, out.getvalue())
        (name,) = files(folder)
        with Image.open(folder / name) as stored:
            assert stored.size == (40, 30)
            assert [stored.getpixel(at) > 200 for at in ((5, 5), (35, 5), (5, 25))] == [
                True,
                False,
                False,
            ]

    def test_transparency_stays(self, porch, alice, upload, put, folder):
        url = upload(alice, "image/png").json()["data"]["uploadURL"]
        put(url, picture("PNG", mode="RGBA"), "image/png")
        (name,) = files(folder)
        with Image.open(folder / name) as stored:
            assert stored.mode == "RGBA"

    @pytest.mark.parametrize("mode", ["L", "CMYK"])
    def test_photos_of_all_colours_are_taken(self, place, put, mode):
        assert put(place, picture(mode=mode)).status_code == 200


@pytest.mark.django_db(transaction=True)
class TestEnd:
    """Files go after the commit."""

    @pytest.fixture
    def stored(self, place, put, folder):
        put(place, picture())
        (name,) = files(folder)
        return name

    def test_a_replaced_picture_is_deleted(self, stored, alice, upload, put, folder):
        put(upload(alice).json()["data"]["uploadURL"], picture())
        (name,) = files(folder)
        assert name != stored

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/upload", {"action": "reset"}),
            ("/update", {"picture": "mine.jpg"}),
            ("/unclaim", {}),
        ],
    )
    def test_one_that_nobody_shows_is_deleted(self, stored, alice, signed_in, folder, path, body):
        signed_in(alice).post(path, {"sensor": str(PORCH), **body})
        assert files(folder) == []

    def test_one_that_a_sharee_still_shows_stays(
        self, stored, alice, bob, signed_in, folder, upload
    ):
        signed_in(alice).post("/share", {"sensor": str(PORCH), "user": bob.email})
        upload(alice)
        assert files(folder) == [stored]
        signed_in(bob).post("/unshare", {"sensor": str(PORCH)})
        assert files(folder) == []

    def test_what_is_not_there_is_not_found(self, client, folder):
        for name in ("00000000-0000-4000-8000-000000000000.jpg", "..%2Fsecrets.env", "x.jpg"):
            assert refused(client.get(f"/pictures/{name}"), 404, None)

    def test_other_methods_are_refused(self, stored, client):
        assert refused(client.post(f"/pictures/{stored}"), 405, None)
