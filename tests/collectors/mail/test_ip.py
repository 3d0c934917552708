"""An address is read in whichever spelling a report writes it, and never out of something else."""

import pytest

from collectors.mail import ip

SPELLINGS = {
    "192.0.2.61": (
        "192.0.2.61", " 192.0.2.61 ", "[192.0.2.61]", "<192.0.2.61>", '"192.0.2.61"', "(192.0.2.61)",
        "192.0.2.61 (a1.out.customer.example)", "a1.out.customer.example (192.0.2.61)", "192.0.2.61:25",
        "[192.0.2.61]:25", "192.0.2.61#25", "192.0.2.61, port 25", "192.0.2.61; as seen by mx1", "192.0.2.61.",
        "192.0.2.61 a1.out.customer.example", "a1.out.customer.example [192.0.2.61]", "192.0.2.61/32",
        "a1.out.customer.example[192.0.2.61]", "::ffff:192.0.2.61", "::FFFF:C000:023D", "[IPv6:::ffff:192.0.2.61]",
        "192.000.002.061", "192.0.2.61 (was 198.51.100.7)", "(relay 198.51.100.7) 192.0.2.61",
        "192.0.2.61 ((nested) 198.51.100.7)", "ip=192.0.2.61", "IPv4:192.0.2.61", "[IPv4:192.0.2.61]",
        "198-51-100-7.dynamic.example (192.0.2.61)", "198.51.100.7.dynamic.example 192.0.2.61",
        "192.0.2.61\t; TCP", "IP Address: 192.0.2.61", "192.0.2.61 (never closed",
    ),
    "2001:db8::9": (
        "2001:db8::9", "IPv6:2001:db8::9", "ipv6:2001:DB8::9", "[IPv6:2001:db8::9]", "[2001:db8::9]:25",
        "2001:0db8:0000:0000:0000:0000:0000:0009", "2001:db8::9%eth0", "2001:db8::9/128", "2001:db8::9#25",
        "2001:db8::9 (a1.out.customer.example)", "a1.out.customer.example [2001:db8::9]", "IPv6:[2001:db8::9]",
        "2001:db8:0:0:0:0:0:9", "2001:db8::9 a1.out.customer.example", "IPv6: 2001:db8::9", "(IPv6:2001:db8::9)",
    ),
}


@pytest.mark.parametrize(("text", "address"), [(text, address) for address, texts in SPELLINGS.items()
                                               for text in texts])
def test_an_address_is_read_in_every_spelling(text, address):
    assert ip.read(text) == address


@pytest.mark.parametrize("text", [
    "", "x.x.x.x", "192.0.2.x", "unknown", "redacted", "192.0.2.300", "192.0.2", "192.0.2.1.dynamic.example",
    "host-192.0.2.1", "10:25:33", "08:59:30 +0000", "user@192.0.2.1", "http://192.0.2.1/", "8.14.7.1.2", "::ffff:x",
    "2001:db8::1::2", "010.0.0.1", "12::34:zz", "deadbeef", "1.2.3.4.5", "192.0.2.1-192.0.2.9",
])
def test_what_is_no_address_is_not_read_as_one(text):
    assert ip.read(text) is None


def test_a_hostile_text_costs_no_more_than_its_beginning():
    assert ip.read("(" * 1_000_000) is None
    assert ip.read(":" * 1_000_000) is None
    assert ip.read("1." * 1_000_000) is None
