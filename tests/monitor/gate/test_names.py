"""Addresses, domains and providers have one form each, the same as the inventory's."""

import unicodedata

import idna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.dimensions import Use, names
from collectors.providers import shipped
from monitor.gate import DIMENSIONS, NAMES, Providers
from monitor.gate.names import address_name, domain_name
from monitor.inventory import names as inventory_names


def test_the_gate_distinguishes_and_is_asked_what_the_table_of_dimensions_says():
    assert names(Use.GATE) == DIMENSIONS
    assert (*names(Use.REQUEST), "recipient_domain", "message") == NAMES


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Example.COM.", "example.com"),
        ("Bücher.Example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),  # not fass.example, as IDNA 2003 had it
        ("FAẞ.example", "xn--fa-hia.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("ｅｘａｍｐｌｅ．com", "example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_has_one_form_however_it_is_written(written: str, name: str):
    assert domain_name(written) == name
    assert inventory_names.domain_name(written) == name


def _same_as_the_inventory(domain: str) -> bool:
    try:
        expected = idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return True
    return domain_name(domain) == expected.rstrip(".")


# scripts and the forms they come in; one of each label, for labels that mix directions are refused
_SCRIPTS = ("a-zA-ZÀ-ɏ", "Ͱ-Ͽἀ-ῼ", "Ѐ-ӿ", "א-ת", "ؠ-ي", "अ-ह\u094d\u200c\u200d", "ぁ-ゖァ-ヺ一-丿", "가-각ᄀ-하-ᅵ", "！-ﾟ")
_LABELS = st.one_of(*(st.from_regex(rf"\A[{each}\u0301\u00ad]{{1,8}}\Z") for each in _SCRIPTS))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(_LABELS, min_size=2, max_size=3).map(".".join))
def test_what_the_inventory_accepts_as_a_domain_the_gate_writes_alike(domain: str):
    assert _same_as_the_inventory(domain)


def test_every_character_of_a_domain_is_written_as_the_inventory_writes_it():
    others = map(chr, (*range(0x80, 0x3400), *range(0xFB00, 0x10000), 0xE0100))
    others = [ch for ch in others if unicodedata.category(ch) != "Cn"]  # newer than this Python: nobody registers them yet
    assert [ch for ch in others if not (_same_as_the_inventory(f"é{ch}b.de") and _same_as_the_inventory(f"{ch}.de"))] == []


@pytest.mark.parametrize("label", ["a" * 300, "ü" * 80, ".", ""])
def test_what_cannot_be_a_domain_is_refused(label: str):
    with pytest.raises(ValueError, match=r"no (part of a )?domain name"):
        domain_name(label)


@pytest.mark.parametrize(
    ("written", "name"), [("::ffff:192.0.2.7", "192.0.2.7"), ("2001:DB8::0:1", "2001:db8::1"), (" 192.0.2.7 ", "192.0.2.7")]
)
def test_an_address_has_one_form(written: str, name: str):
    assert address_name(written) == name


@pytest.mark.parametrize("written", ["192.0.2.999", "fe80::1%eth0", "224.0.0.1", "::", "192.0.2.0/24", "example.com"])
def test_what_is_no_address_of_one_host_is_refused(written: str):
    with pytest.raises(ValueError, match=written.replace(".", r"\.")):
        address_name(written)


OURS = Providers({"gmail.com": "gmail", ".example.net": "example", "free.example.net": "free"}, {"google": "gmail"})


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("gmail.com", "gmail"), ("mx.gmail.com", None), ("a.example.net", "example"), ("b.a.example.net", "example"),
        ("free.example.net", "free"), ("x.free.example.net", "example"), ("example.net", None), ("notexample.net", None),
        ("example.org", None), ("net", None), (".".join("a" * 120), None),
    ],
)  # fmt: skip
def test_a_recipient_domain_is_looked_up_whole_and_then_below_names_with_a_dot(domain: str, provider: str | None):
    assert OURS.of_domain(domain) == provider


@pytest.mark.parametrize(
    ("name", "provider"),
    [("gmail", "gmail"), ("google", "gmail"), ("gmail.com", "gmail"), ("somebody", "somebody"), ("small.example.org", None)],
)
def test_a_provider_is_named_by_its_id_another_name_or_a_domain(name: str, provider: str | None):
    assert OURS.named(name) == provider
    assert OURS.canonical(name) == (provider or name)


def test_the_gate_knows_the_shipped_providers_as_the_collectors_do():
    table = shipped()
    known = Providers(table.domains, table.names)
    for name in (*table.domains, *table.names, *table.rows, "small.example.org"):
        domain = name.removeprefix(".")
        assert known.canonical(domain) == (table.of(domain) or domain)
