import pytest

from monitor.gate import read_request


def test_a_request_is_read_into_the_form_restrictions_are_kept_in():
    request = read_request({
        "customer": "acme", "ip": "2001:DB8::0:1", "domain": "Example.COM.", "recipient_domain": "Example.ORG",
        "provider": None, "count": 25,
    })
    assert read_request({"customer": "acme", "domain": "B\u00fccher.example"}).domain == "xn--bcher-kva.example"
    assert read_request({"customer": "acme", "provider": "Gmail"}).provider == "gmail"
    assert (request.ip, request.domain, request.recipient_domain) == ("2001:db8::1", "example.com", "example.org")
    assert (request.provider, request.count) == (None, 25)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ([], "JSON object"),
        ({}, "customer: missing"),
        ({"customer": ""}, "customer"),
        ({"customer": 7}, "customer"),
        ({"customer": "acme", "ip": "192.0.2.999"}, "ip"),
        ({"customer": "acme", "stream": "x" * 256}, "stream"),
        ({"customer": "acme", "recipient_domain": "."}, "recipient_domain: "),
        ({"customer": "acme", "domain": "\u00fc" * 80}, "domain: "),
        ({"customer": "acme", "count": 0}, "count"),
        ({"customer": "acme", "count": True}, "count"),
        ({"customer": "acme", "count": 10_000_001}, "count"),
        ({"customer": "acme", "sream": "news"}, "unknown field: sream"),
    ],
)
def test_what_is_wrong_is_named(body, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_request(body)
