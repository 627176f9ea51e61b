import pytest

from ruuvinet.lib.masking import mask_email


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("test.test@hotmail.com", "t***.***t@h*****l.com"),
        ("hippo@huppo.com", "h***o@h***o.com"),
        ("ab@x.fi", "**@*.fi"),
        ("a+b-c@example.co.uk", "a+*-c@e******.*o.uk"),
        ("a.b@example.com", "***@e*****e.com"),
        ("somebody@localhost", "s******y@l*******t"),
        ("ääkkönen@example.com", "ä******n@e*****e.com"),
        ("", "@"),
    ],
)
def test_what_strangers_see(address, masked):
    assert mask_email(address) == masked
