"""Google Postmaster Tools API v2 on loopback, as its discovery document has it: scopes, required filters, paging, batches, errors.

What Google knows of us is in `domains`, `figures`, `feedback_ids` and `compliance`; a test changes it and asks again.
"""

import base64
import json
import re
from datetime import date

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from tests.servers.http_api import HttpApi, Reply

REQUIRED = {"AUTH_SUCCESS_RATE": r'auth_type = "(spf|dkim|dmarc)"', "TLS_ENCRYPTION_RATE": r'traffic_direction = "(inbound|outbound)"',
            "TLS_ENCRYPTION_MESSAGE_COUNT": r'traffic_direction = "(inbound|outbound)"',
            "FEEDBACK_LOOP_SPAM_RATE": r'feedback_loop_id = "(\\.|[^"\\])+"'}
ERRORS = r'(error_type = "(reject|temp_fail)"( AND error_reason = "[a-z_]+")?)?'
OPTIONAL = {"DELIVERY_ERROR_RATE": ERRORS, "DELIVERY_ERROR_COUNT": ERRORS, "SPAM_RATE": "", "FEEDBACK_LOOP_ID": r'(aggregation_key_type = "\w+")?'}
COUNTS = {"TLS_ENCRYPTION_MESSAGE_COUNT", "DELIVERY_ERROR_COUNT"}
SCOPES = {"list": "https://www.googleapis.com/auth/postmaster.domain", "read": "https://www.googleapis.com/auth/postmaster.traffic.readonly"}


def error(code, status, message, reason=None):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}] if reason else []
    return Reply(code, {"error": {"code": code, "message": message, "status": status, "details": details}})


class Google:
    """`with Google() as google:` `queries` are the bodies of queries; `instead`: path suffix → a function of the request, or None to go on."""

    def __init__(self):
        self.domains = {}  # name → entry
        self.figures = {}  # (domain, standard metric, filter, day) → value
        self.feedback_ids = {}  # (domain, day) → list
        self.compliance = {}
        self.scopes = set(SCOPES.values())
        self.page_size = 200
        self.refresh_token, self.ended = "1//refresh-of-acme", False
        self.key = None
        self.tokens = set()
        self.queries = []
        self.grants = []
        self.instead = {}

    def add(self, domain, **entry):
        self.domains[domain] = {"name": f"domains/{domain}", "permission": "OWNER", "verificationState": "VERIFIED"} | entry

    def service_account(self, subject="postmaster@acme.example"):
        """The key file as Google writes it, with whom it acts for."""
        self.key = rsa.generate_private_key(65537, 2048)
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {"type": "service_account", "client_email": "vigie@acme.iam.example", "private_key": pem.decode(),
                "token_uri": f"{self.base}/token", "subject": subject}

    def user(self):
        return {"type": "authorized_user", "client_id": "id", "client_secret": "s3cret-of-acme", "refresh_token": self.refresh_token}

    def __enter__(self):
        self._api = HttpApi(self.answer)
        self.base = self._api.base
        return self

    def __exit__(self, *failure):
        self._api.__exit__(*failure)

    @property
    def asked(self):
        return self._api.asked

    def answer(self, request):
        for suffix, instead in self.instead.items():
            if request.path.endswith(suffix) and (reply := instead(request)) is not None:
                return reply
        if request.path == "/token":
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if request.path == "/v2/domains":
            return self._list(request) if SCOPES["list"] in self.scopes else self._no_scope()
        if SCOPES["read"] not in self.scopes:
            return self._no_scope()
        if request.path == "/v2/domainStats:batchQuery":
            return self._batch(request.json["requests"])
        domain, what = re.fullmatch(r"/v2/domains/([^/]+)/(.+)", request.path).groups()
        if what == "domainStats:query":
            return self._query(request.json, domain)
        return self._compliance(domain)

    def _no_scope(self):
        return error(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")

    def _token(self, request):
        from urllib.parse import parse_qs

        form = {name: each[0] for name, each in parse_qs(request.body.decode()).items()}
        self.grants.append(form)
        good = not self.ended and (self._signed(form["assertion"]) if "assertion" in form else form.get("refresh_token") == self.refresh_token)
        if not good:
            return Reply(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        token = f"ya29.{len(self.grants)}"
        self.tokens.add(token)
        return Reply(body={"access_token": token, "expires_in": 3599, "scope": " ".join(self.scopes), "token_type": "Bearer"})

    def _signed(self, assertion):
        head, claims, signature = assertion.split(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        self.key.public_key().verify(raw, f"{head}.{claims}".encode(), PKCS1v15(), hashes.SHA256())  # raises
        stated = json.loads(base64.urlsafe_b64decode(claims + "=="))
        return stated["aud"] == f"{self.base}/token" and 0 < stated["exp"] - stated["iat"] <= 3600 and "@" in stated["sub"]

    def _list(self, request):
        size, start = min(int(request.query.get("pageSize", 10)), self.page_size), int(request.query.get("pageToken", 0))
        entries = list(self.domains.values())[start : start + size]
        more = start + size < len(self.domains)
        return Reply(body=({"domains": entries} if entries else {}) | ({"nextPageToken": str(start + size)} if more else {}))

    def _batch(self, requests):
        if len(requests) > 100:
            return error(400, "INVALID_ARGUMENT", "at most 100 requests")
        replies = [self._query(body, body.get("parent", "").removeprefix("domains/")) for body in requests]
        if any(reply.status == 403 for reply in replies):
            return error(403, "PERMISSION_DENIED", "The caller does not have permission")
        results = [{"response": each.body} if each.status == 200 else {"error": {"code": 3, "message": "invalid"}} for each in replies]
        return Reply(body={"results": results})

    def _query(self, body, domain):
        self.queries.append(body)
        if body.get("parent") != f"domains/{domain}":
            return error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        if self.domains.get(domain, {"permission": "NONE"})["permission"] == "NONE":
            return error(403, "PERMISSION_DENIED", "The caller does not have permission")
        rows = []
        (span,) = body["timeQuery"]["dateRanges"]["dateRanges"]
        first, last = (date(**span[end]) for end in ("start", "end"))
        for definition in body["metricDefinitions"]:
            standard, where = definition["baseMetric"]["standardMetric"], definition.get("filter", "")
            if not re.fullmatch(REQUIRED.get(standard) or OPTIONAL[standard], where):
                return error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
            rows += self._rows(domain, definition["name"], standard, where)
        rows = [row for row in rows if first <= date(**row["date"]) <= last]
        size, start = min(body["pageSize"], self.page_size), int(body.get("pageToken", 0))
        more = {"nextPageToken": str(start + size)} if start + size < len(rows) else {}
        return Reply(body=({"domainStats": rows[start : start + size]} if rows else {}) | more)

    def _rows(self, domain, name, standard, where):
        if standard == "FEEDBACK_LOOP_ID":
            values = {day: {"stringList": {"values": ids}} for (of, day), ids in self.feedback_ids.items() if of == domain}
        else:
            values = {day: value if isinstance(value, dict) else {"intValue": str(value)} if standard in COUNTS else {"floatValue": value}
                     for (of, metric, by, day), value in self.figures.items() if (of, metric, by) == (domain, standard, where)}
        return [{"name": f"domains/{domain}/domainStats/opaque", "metric": name, "value": value,
                 "date": {"year": day.year, "month": day.month, "day": day.day}} for day, value in values.items()]

    def _compliance(self, domain):
        return Reply(body={"name": f"domains/{domain}/complianceStatus"} | self.compliance.get(domain, {}))
