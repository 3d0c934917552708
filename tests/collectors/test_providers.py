import re
from itertools import pairwise

import pytest
import yaml
from pydantic import ValidationError

from collectors.providers import DATA, Provider, shipped

ROWS = list(shipped().rows.values())
HOST = re.compile(r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")


def test_no_provider_domain_ending_or_name_is_claimed_twice():
    for claims in ([row["id"] for row in yaml.safe_load(DATA.read_text())],
                   [domain for row in ROWS for domain in row.domains],
                   [ending for row in ROWS for ending in row.mx],
                   [name for row in ROWS for name in (row.id, *row.also)]):
        assert sorted(claims) == sorted(set(claims))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_names_real_hosts_and_says_how_it_is_recognised(row):
    assert row.mx
    for host in (*row.domains, *row.mx):
        assert HOST.match(host.removeprefix(".")), host
    if row.fbl and row.fbl.kind != "none":
        assert row.fbl.url or row.fbl.note or row.fbl.keyed_by is None


@pytest.mark.parametrize("row", [row for row in ROWS if row.thresholds], ids=lambda row: row.id)
def test_a_target_lies_below_the_limit(row):
    values = [line.value for kind in ("target", "limit") for line in row.thresholds if line.kind == kind]
    assert all(lower < higher for lower, higher in pairwise(values))


def test_a_misspelt_field_is_refused():
    with pytest.raises(ValidationError, match="treshold"):
        Provider.model_validate({"id": "x", "name": "X", "domains": [], "mx": ["x.example"], "treshold": []})


@pytest.mark.parametrize(("domain", "expected"), [
    ("gmail.com", "gmail"), ("GMAIL.com.", "gmail"), ("yahoo.fr", "yahoo"), ("aol.com", "yahoo"),
    ("verizon.net", "yahoo"), ("yahoo.co.jp", "yahoo_japan"), ("hotmail.fr", "microsoft"), ("outlook.de", "microsoft"),
    ("live.nl", "microsoft"), ("wanadoo.fr", "orange"), ("neuf.fr", "sfr"), ("laposte.net", "laposte"),
    ("free.fr", "free"), ("web.de", "united"), ("gmx.at", "united"), ("t-online.de", "t_online"),
    ("mail.ru", "mailru"), ("bk.ru", "mailru"), ("icloud.com", "apple"), ("qq.com", "qq"), ("163.com", "netease"),
    ("bluewin.ch", "swisscom"), ("virgilio.it", "libero"), ("rr.com", "charter"), ("tampabay.rr.com", "charter"),
    ("example.com", None), ("notgmail.com", None), ("mail.gmail.com", None), ("com", None), ("", None), ("." * 9999, None),
])
def test_a_recipient_domain_names_its_provider(domain, expected):
    assert shipped().of_domain(domain) == expected


@pytest.mark.parametrize(("host", "expected"), [
    ("gmail-smtp-in.l.google.com", "gmail"), ("aspmx2.googlemail.com.", "gmail"), ("smtp.google.com", "gmail"),
    ("outlook-com.olc.protection.outlook.com", "microsoft"), ("acme-example.mail.protection.outlook.com", "microsoft365"),
    ("acme-example.g-v1.mx.microsoft", "microsoft365"), ("mta5.am0.yahoodns.net", "yahoo"),
    ("SMTP-IN.orange.fr", "orange"), ("mx00.t-online.de", "t_online"), ("mx-ha03.web.de", "united"),
    ("163mx01.mxmail.netease.com", "netease"), ("mx.tb.mail.iss.as9143.net", "ziggo"),
    ("mx.tb.ukmail.iss.as9143.net", "virginmedia"), ("in1-smtp.messagingengine.com", "fastmail"),
    ("mx.example.com", None), ("notorange.fr", None), ("com", None), ("", None),
])
def test_an_mx_host_names_its_provider_by_whole_labels(host, expected):
    assert shipped().of_mx(host) == expected


@pytest.mark.parametrize(("name", "expected"), [("yahoo", "yahoo"), ("AOL", "yahoo"), ("hotmail", "microsoft"),
                                                ("roadrunner", "charter"), ("somebody", None), ("", None)])
def test_a_name_a_report_uses_leads_to_the_provider(name, expected):
    assert shipped().named(name) == expected


OWN = shipped().with_own([
    Provider(id="isp", name="Our ISP", domains=("isp.example", "rr.com"), mx=("mx.isp.example",)),
    Provider(id="orange", name="Orange Group", domains=("orange.example",)), Provider(id="hotmail", name="Hotmail", domains=("hotmail.com",)),
])


@pytest.mark.parametrize(("look_up", "name", "expected"), [
    ("of_domain", "isp.example", "isp"), ("of_domain", "tampabay.rr.com", "charter"), ("of_domain", "rr.com", "isp"),
    ("of_domain", "orange.example", "orange"), ("of_domain", "wanadoo.fr", "orange"), ("of_domain", "hotmail.com", "hotmail"),
    ("of_domain", "hotmail.fr", "microsoft"), ("of_mx", "a.mx.isp.example.", "isp"), ("of_mx", "smtp-in.orange.fr", "orange"),
    ("named", "ISP", "isp"), ("named", "hotmail", "hotmail"), ("named", "aol", "yahoo"), ("of", "ann@isp.example", "isp"),
])
def test_an_operators_own_providers_add_to_the_table_and_are_right(look_up, name, expected):
    assert getattr(OWN, look_up)(name) == expected
    assert shipped().of_domain("isp.example") is None


def test_an_own_row_keeps_what_is_known_of_the_provider():
    assert OWN.rows["orange"].name == "Orange Group"
    assert OWN.rows["orange"].fbl == shipped().rows["orange"].fbl
