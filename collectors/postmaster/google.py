"""What does Gmail think of our domains: spam rate, authentication, encryption, delivery errors, feedback ids, requirements?

Asks Google Postmaster Tools API v2 (discovery document of gmailpostmastertools v2): `domains`, `domainStats` in one batch for up to a hundred
domains, `complianceStatus`. Days come two to three late and are revised, so the last ones are asked again. May be wrong where
Google's day is not that of `day_zone`, which it does not state; a domain below its undisclosed volume has no row, which is no zero.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from collectors.clients.google_tokens import google_tokens
from collectors.clients.http import Answer, HttpClient, Request
from collectors.clients.http_settings import HttpSettings, checked_base
from collectors.clients.oauth2 import AccessTokens
from collectors.contract import CollectorError, CollectorSettings, Context, Identifiers, Reason, Target
from collectors.observation import Batch, Observation, Parked, Subject
from collectors.postmaster.google_stats import (
    METRICS,
    PAGE_SIZE,
    SPAM_RATE,
    Metric,
    Said,
    feedback_metrics,
    query,
    read_compliance,
    read_rows,
)

NAME = "google_postmaster"
_CURSOR = "progress"
_SCOPE = "https://www.googleapis.com/auth/postmaster.domain https://www.googleapis.com/auth/postmaster.traffic.readonly"
_AT_ONCE = 100  # requests in a batch, as Google allows
_LAG = timedelta(days=3)
_PAGES = 200  # of one list: more than that goes round in a circle
# google.rpc codes → why
_RPC = {4: Reason.TIMEOUT, 5: Reason.NOT_REGISTERED, 7: Reason.PERMISSION_LOST, 8: Reason.QUOTA, 14: Reason.NETWORK, 16: Reason.AUTH}
_STATUS = {401: Reason.AUTH, 403: Reason.PERMISSION_LOST, 404: Reason.NOT_REGISTERED}
_OF_ONE = frozenset({Reason.PERMISSION_LOST, Reason.NOT_REGISTERED, Reason.REFUSED})  # for which a whole batch is refused
_ENDS_RUN = frozenset({Reason.QUOTA, Reason.AUTH, Reason.REAUTH_REQUIRED, Reason.REMOVED, Reason.CONFIG, Reason.TLS})


class GoogleSettings(CollectorSettings):
    """`reread`: days asked again; `backfill`: days asked when a domain is new."""

    every: timedelta = Field(timedelta(hours=6), gt=timedelta(0))
    base_url: str = "https://gmailpostmastertools.googleapis.com"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    credentials: str = NAME
    reread: timedelta = Field(timedelta(days=7), ge=timedelta(days=1), le=timedelta(days=120))
    backfill: timedelta = Field(timedelta(days=30), ge=timedelta(days=1), le=timedelta(days=120))
    day_zone: str = "UTC"
    feedback_ids: int = Field(50, ge=0, le=1000)
    http: HttpSettings = HttpSettings()

    _checked = field_validator("base_url", "token_url")(checked_base)

    @field_validator("day_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, KeyError, OSError):
            raise ValueError(f"{name!r} is no time zone; write one as Europe/Paris") from None
        return name


class GooglePostmaster:
    """All domains of the inventory that Google lists for our credential."""

    name: ClassVar[str] = NAME
    Settings: ClassVar[type[CollectorSettings]] = GoogleSettings
    measures: ClassVar[frozenset[str]] = frozenset({
        "google_spam_rate", "google_auth_rate", "google_tls_rate", "google_tls_count", "google_error_rate", "google_error_count",
        "google_fbl_rate", "google_compliance", "source_access",
    })  # fmt: skip

    def __init__(self, settings: GoogleSettings) -> None:
        self._settings = settings

    def collect(self, context: Context, now: datetime) -> Iterator[Batch]:
        saved = dict(context.cursor(_CURSOR) or {})
        with HttpClient(self._settings.http, now, saved.get("http"), stopping=context.stopping) as http:
            yield from _Run(self._settings, context, http, now, saved).batches()


@dataclass(slots=True)
class _Run:
    """One run. `saved` is the cursor as it goes with each batch."""

    settings: GoogleSettings
    context: Context
    http: HttpClient
    now: datetime
    saved: dict[str, Any]
    had: int = 0
    failed: CollectorError | None = None
    fingerprint: str = ""
    _customers: dict[str, str | None] = field(default_factory=dict)
    _tokens: AccessTokens | None = None

    def batches(self) -> Iterator[Batch]:
        """Raises the first error where nothing at all was had; who is answered stands in `source_access` before."""
        domains = [each for each in self.context.targets() if each.kind == "domain"]
        self._customers = {each.name: each.customer for each in domains}
        try:
            self._log_in()
            listed = self._listed()
        except CollectorError as error:
            yield self._batch("access", [self._access(Subject(collector=NAME), error)])
            raise
        wanted = []
        for target in domains:
            why = _not_asked(listed.get(target.name))
            if why is None:
                wanted.append(target)
            else:
                yield self._batch(target.name, [self._access(self._subject(target.name), why)])
        for start in range(0, len(wanted), _AT_ONCE):
            yield from self._group(wanted[start : start + _AT_ONCE])
        access = self._access(Subject(collector=NAME), self.failed if not self.had else None)
        yield self._batch("access", [access])
        if self.failed is not None and not self.had:
            raise self.failed

    def _log_in(self) -> None:
        """A credential that has ended is not tried again until it is another one."""
        name = self.settings.credentials
        try:
            credential = self.context.secret(name)
        except CollectorError as error:
            raise CollectorError(error.reason, f"no credential '{name}' for Google: put its JSON under `secrets:`") from None
        self.fingerprint = hashlib.sha256(f"ended {credential}".encode()).hexdigest()
        if self.saved.get("ended") == self.fingerprint:
            raise CollectorError(Reason.REAUTH_REQUIRED, f"the credential '{name}' has ended; put a new one under `secrets:`")
        self._tokens = google_tokens(name, credential, self.settings.token_url, _SCOPE, lambda: self.now)
        self._token()

    def _token(self, refused: str | None = None) -> str:
        assert self._tokens is not None
        try:
            token = self._tokens.current() if refused is None else self._tokens.after_refusal(refused)
        except CollectorError as error:
            if error.reason is Reason.REAUTH_REQUIRED:
                self.saved["ended"] = self.fingerprint
            raise
        self.http.hide(token)
        return token

    def _ask(self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """The JSON of a good answer; a token that is refused is renewed once."""
        token = self._token()
        answer = self._sent(method, path, token, params or {}, body)
        if answer.status == 401:
            answer = self._sent(method, path, self._token(token), params or {}, body)
        if answer.status != 200:
            raise self._refusal(answer)
        return answer.json()

    def _sent(self, method: str, path: str, token: str, params: Mapping[str, str], body: Any) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return self.http.send(Request(method, f"{self.settings.base_url}/v2/{path}", headers, params, body))

    def _refusal(self, answer: Answer) -> CollectorError:
        if answer.status == 403 and b"ACCESS_TOKEN_SCOPE_INSUFFICIENT" in answer.body:
            return self.http.refusal(answer, Reason.AUTH, f"consent anew, with the scopes {_SCOPE}")
        if answer.status == 429:  # what may pass was waited for
            return self.http.refusal(answer, Reason.REMOVED)
        return self.http.refusal(answer, _STATUS.get(answer.status))

    def _listed(self) -> dict[str, Mapping[str, Any]]:
        """Google's entry of each domain, by its name."""
        listed: dict[str, Mapping[str, Any]] = {}
        token = ""
        for _ in range(_PAGES):
            answer = self._ask("GET", "domains", params={"pageSize": str(PAGE_SIZE)} | ({"pageToken": token} if token else {}))
            for entry in _entries(answer, "domains"):
                listed[str(entry.get("name", "")).removeprefix("domains/").lower()] = entry
            token = str(answer.get("nextPageToken") or "")
            if not token:
                return listed
        raise CollectorError(Reason.MALFORMED, f"{self.settings.base_url}/v2/domains: its pages do not end")

    def _group(self, targets: Sequence[Target]) -> Iterator[Batch]:
        if self.failed is not None and self.failed.reason in _ENDS_RUN:
            for target in targets:
                yield self._batch(target.name, [self._access(self._subject(target.name), self.failed)])
            return
        firsts = {each.name: self._first(each.name) for each in targets}
        results = self._first_pages(firsts)
        for target in targets:
            yield self._domain(target.name, firsts[target.name], results[target.name])

    def _first(self, domain: str) -> date:
        """The first day asked for: of a domain that is new, more."""
        known = domain in self.saved.get("backfilled", ())
        return (self.now - _LAG - (self.settings.reread if known else self.settings.backfill)).date()

    def _first_pages(self, firsts: Mapping[str, date]) -> dict[str, Any]:
        """By domain what the batch has of it, or the error. One domain that is no longer ours fails the whole batch: then each is asked."""
        bodies = {domain: query(domain, METRICS, first, self.now.date()) for domain, first in firsts.items()}
        try:
            answer = self._ask("POST", "domainStats:batchQuery", body={"requests": list(bodies.values())})
            results = _entries(answer, "results", len(bodies))
        except CollectorError as error:
            if error.reason not in _OF_ONE:
                return dict.fromkeys(bodies, error)
            return {domain: self._one(domain, body) for domain, body in bodies.items()}
        return {domain: _result(domain, result) for domain, result in zip(bodies, results, strict=True)}

    def _one(self, domain: str, body: Mapping[str, Any]) -> Any:
        try:
            return self._ask("POST", f"domains/{domain}/domainStats:query", body=body)
        except CollectorError as error:
            return error

    def _domain(self, domain: str, first: date, page: Any) -> Batch:
        """All that is had of one domain: what fails leaves the rest whole."""
        report = Said()
        observations: list[Observation] = []
        problem: CollectorError | None = None
        try:
            if isinstance(page, CollectorError):
                raise page
            self._pages(domain, METRICS, (first, self.now.date()), report, page)
            observations += self._missing(domain, first, report)
            self.saved["backfilled"] = sorted({*self.saved.get("backfilled", ()), domain})
            self._feedback(domain, report)
        except CollectorError as error:
            problem = error
        if not isinstance(page, CollectorError):
            try:
                observations += self._compliance(domain, report)
            except CollectorError as error:
                problem = problem or error
        observations += [
            Observation(figure.measure, self._figure_subject(domain, figure.measure, figure.aspect), self._at(figure.day), figure.value)
            for figure in report.figures
        ]
        if not isinstance(page, CollectorError):
            self.had += 1
        self.failed = self.failed or problem
        return self._batch(domain, [*observations, self._access(self._subject(domain), problem)], report.parked)

    def _pages(self, domain: str, metrics: Mapping[str, Metric], span: tuple[date, date], report: Said, page: Any = None) -> None:
        """All pages, the first of which may be at hand; the body stays the same, only its token moves."""
        body = query(domain, metrics, *span)
        path = f"domains/{domain}/domainStats:query"
        for _ in range(_PAGES):
            page = self._ask("POST", path, body=body) if page is None else page
            if not isinstance(page, Mapping):
                raise CollectorError(Reason.MALFORMED, f"{path} answers with no object")
            read_rows(page.get("domainStats"), metrics, domain, report)
            token = page.get("nextPageToken")
            if not token:
                return
            body, page = body | {"pageToken": token}, None
        raise CollectorError(Reason.MALFORMED, f"{path}: its pages do not end")

    def _feedback(self, domain: str, report: Said) -> None:
        """The spam rate of each feedback id Google has named, asked by id."""
        kept: dict[str, None] = {}
        for day, ids in sorted(report.feedback_ids.items()):
            kept |= dict.fromkeys(ids[: self.settings.feedback_ids])
            left = ids[self.settings.feedback_ids :]
            if left:
                text = f"{len(left)} feedback ids of {day} above {self.settings.feedback_ids} (feedback_ids) were not asked about"
                report.parked.append(Parked(f"{NAME}:{domain}", Reason.TOO_LARGE.value, text, "\n".join(left).encode("utf-8", "replace")))
        wanted = list(kept)
        days = report.feedback_ids
        for start in range(0, len(wanted), _AT_ONCE):
            self._pages(domain, feedback_metrics(wanted[start : start + _AT_ONCE]), (min(days), max(days)), report)

    def _missing(self, domain: str, first: date, report: Said) -> list[Observation]:
        """Days that should be out and have no spam rate."""
        out = (self.now - _LAG).date()
        days = (first + timedelta(days=number) for number in range((out - first).days))
        subject, had = self._subject(domain), report.days_of(SPAM_RATE)
        return [Observation(SPAM_RATE, subject, self._at(day), None, Reason.NO_DATA) for day in days if day not in had]

    def _compliance(self, domain: str, report: Said) -> list[Observation]:
        path = f"domains/{domain}/complianceStatus"
        answer = self._ask("GET", path)
        try:
            verdicts = read_compliance(answer)
        except ValueError:
            report.parked.append(Parked(f"{NAME}:{domain}", Reason.MALFORMED.value, "complianceStatus cannot be read", str(answer)[:100_000].encode()))
            return []
        return [
            Observation(
                "google_compliance", self._subject(each.domain, each.aspect), self.now, None if each.compliant is None else float(each.compliant),
                Reason.NO_DATA if each.compliant is None else None,
                {"status": each.status} | ({"reason": each.reason} if each.reason else {}),
            )
            for each in verdicts
        ]  # fmt: skip

    def _subject(self, domain: str, aspect: str | None = None) -> Subject:
        return Subject(customer=self._customers.get(domain), domain=domain, provider="gmail", aspect=aspect)

    def _figure_subject(self, domain: str, measure: str, aspect: str | None) -> Subject:
        subject = self._subject(domain, aspect and aspect[:128])
        if measure != "google_fbl_rate" or aspect is None:
            return subject
        whose = self.context.attribute(Identifiers(tokens=(aspect,)))
        if whose.how is None or whose.customer != subject.customer:
            return subject
        return subject._replace(stream=whose.stream, campaign=whose.campaign)

    def _at(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.settings.day_zone))

    def _access(self, subject: Subject, why: CollectorError | None) -> Observation:
        if why is None:
            return Observation("source_access", subject, self.now, 1.0)
        text = self.http.redacted(why.text)
        return Observation("source_access", subject, self.now, None, why.reason, {"reason": why.reason.value, "text": text})

    def _batch(self, what: str, observations: Sequence[Observation], parked: Sequence[Parked] = ()) -> Batch:
        cursor = self.saved | {"http": self.http.saved()}
        return Batch(NAME, f"{self.now.isoformat()} {what}", self.now, tuple(observations), parked=tuple(parked),
                     cursor_name=_CURSOR, cursor=cursor)


def _not_asked(entry: Mapping[str, Any] | None) -> CollectorError | None:
    if entry is None:
        return CollectorError(Reason.NOT_REGISTERED, "Google does not list this domain for us: add it in Postmaster Tools")
    if entry.get("permission") == "NONE":
        return CollectorError(Reason.PERMISSION_LOST, "Google gives us no permission for this domain: have its owner share it")
    if entry.get("verificationState") == "UNVERIFIED":
        return CollectorError(Reason.NOT_REGISTERED, "the domain is not verified in Postmaster Tools: set its DNS record")
    return None


def _entries(answer: Any, key: str, count: int | None = None) -> list[Mapping[str, Any]]:
    """Raises CollectorError(malformed) for another shape or number; what is left out is empty."""
    entries = answer.get(key) or [] if isinstance(answer, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in entries) or len(entries) != (count or len(entries)):
        raise CollectorError(Reason.MALFORMED, f"Google's {key} have another shape than they should")
    return entries


def _result(domain: str, result: Mapping[str, Any]) -> Any:
    error = result.get("error")
    if isinstance(error, Mapping) and error.get("code"):
        code = error["code"]
        return CollectorError(_RPC.get(code, Reason.REFUSED), f"{domain}: {str(error.get('message', ''))[:200]} (code {code})")
    return result.get("response") or {}
