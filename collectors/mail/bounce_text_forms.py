"""How mail systems word a bounce: who writes it, how it begins, where it names recipients, where it ends.

Tables only; `bounce_text` reads with them. Learnt from the notices of qmail, Exim, sendmail, Postfix, Courier,
Exchange, Domino, GroupWise, MDaemon, IMail, Messaging Server, gateways and mobile carriers. Every repeat is
bounded, and lines are cut before they are searched, so that hostile text stays cheap. May be wrong where a
system words its notices in a way none of these do.
"""

from __future__ import annotations

import re


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


class Wordings:
    """Ways to word one thing, in lower case: a pattern that ignores case is five times slower to look for."""

    __slots__ = ("_pattern",)

    def __init__(self, *phrases: str) -> None:
        self._pattern = re.compile("|".join(phrases))

    def search(self, text: str) -> re.Match[str] | None:
        return self._pattern.search(text.lower())

    def without(self, text: str) -> str:
        """The text with a space in place of each; as it is where lower case would shift its letters."""
        low = text.lower()
        kept, end = [], 0
        for hit in self._pattern.finditer(low) if len(low) == len(text) else ():
            kept.append(text[end : hit.start()])
            end = hit.end()
        return " ".join([*kept, text[end:]])


ADDRESS = re.compile(
    r"(?<![A-Za-z0-9_.+/=@-])(?:[A-Za-z0-9_.+/=&#$%!^~{}|*'?-]{1,64}|\"[^\"@\s]{1,62}\")"
    r"@(?:[\w-]{1,63}\.){1,8}[A-Za-z0-9-]{2,24}(?![A-Za-z0-9_@-])",
)
# Names of the systems and people who help: recipients only in a place of structure.
HELPER = re.compile(
    r"^(?:postmaster|mailer-daemon|mail-daemon|mailerdaemon|abuse|hostmaster|webmaster|noreply|no-reply|"
    r"helpdesk|support)@",
    re.IGNORECASE,
)
# Nobody: Message-IDs and the machine itself.
NOBODY = re.compile(r"^[0-9a-f.]{20,}@|@(?:localhost|local)$|^mailer-?daemon@", re.IGNORECASE)

DAEMON = Wordings(
    r"mailer[-_]?daemon", r"post ?master", r"mail delivery", r"delivery (?:sub)?system",
    r"system administrator", r"mdaemon", r"mail[-_ ]daemon", r"mail administrator", r"\bmail system",
    r"maildelivery", r"mail router", r"internet mail delivery", r"mail service", r"mail[-_ ]?error",
    r"\bimss?\b", r"interscan", r"virus ?wall", r"mail gateway", r"smtp gateway", r"mailadmin",
    r"microsoft outlook", r"exchange", r"\bndr\b", r"bounce", r"mail-?server", r"mailmarshal", r"symantec",
    r"jetmail", r"mail transfer", r"^\s*<>\s*$", r"^\s*$", r"inetgw", r"emailfirewall", r"mail\.delivery",
)
SUBJECT = Wordings(
    r"deliver(?:y|ed)? (?:status|fail|problem|error|report|has failed|notification|delayed|warning)",
    r"undeliver", r"non[- ]?(?:delivery|remis|recapit)", r"\bnondeliverable",
    r"failure (?:notice|delivery|notification)", r"mail failure",
    r"return(?:ed|ing)? (?:mail|message|to sender|e-?mail)",
    r"(?:mail|message|e-?mail)[\w ,'\x22<>@.-]{0,60}(?:not delivered|failed|failure|"
    r"could not be delivered|cannot be delivered|not be delivered|returned|delayed|undeliverable|"
    r"rejected|error)",
    r"could not (?:be delivered|send)", r"(?:user|recipient) unknown", r"unknown user", r"failed mail",
    r"mail error", r"unable to deliver", r"error (?:sending|delivering)", r"(?:problem|trouble) (?:sending|deliver)",
    r"could not be sent", r"delivery (?:of|to)\b", r"\bndn\b", r"processing error",
    r"bounced?\b", r"undelivered", r"unzustellbar", r"nicht zustellbar", r"zustellung", r"unzustellbarkeit",
    r"non remis", r"non distribu", r"echec", r"\bechou", r"chec de (?:remise|la remise)",
    r"no (?:se )?(?:ha )?(?:pudo|podido) (?:ser )?entrega", r"no entregad", r"no se puede entregar",
    r"fall[oó] (?:la|en la) entrega", r"mancata consegna", r"non recapitabile", r"impossibile recapitare",
    r"n[aã]o entregue", r"falha (?:na|de) entrega", r"не доставлено", r"недоставлен", r"配信(?:でき|不能|エラー|失敗)",
    r"送信(?:でき|エラー|失敗)", r"退信", r"无法投递", r"系统退信", r"niedostarcz", r"error in delivery", r"message status",
    r"message delivery", r"mail delivery", r"delivery notification", r"transport error",
    r"mail system error", r"warning: (?:could not|message|mail)", r"permanent delivery", r"mail could not",
    r"not accepted", r"invalid (?:recipient|address)",
)
# An answer or a forwarded mail, in the words of mail programs.
ANSWERED = re.compile(r"\s*(?:(?:re|fwd?|aw|wg|tr|sv|vs|rv|antw|i|r)\s?:\s?){1,5}", re.IGNORECASE)
# What an automatic answer of a person says; never a bounce on its own.
ANSWER = Wordings(
    r"out of (?:the )?office", r"auto(?:matic|mated)?[- ]?(?:reply|response|respon[ds]er|matische antwort)",
    r"vacation", r"abwesenheit", r"absence", r"fuera de la oficina", r"respuesta autom",
    r"r[eé]ponse automatique", r"risposta automatica", r"on leave", r"holiday", r"autoreply", r"auto:",
    r"away from", r"resposta autom", r"ausente", r"自動応答", r"自动回复", r"不在",
)
LOOKALIKE = Wordings(
    r"this is an? (?:e-?mail |email )?(?:abuse|spam|feedback) report", r"feedback[- ]?loop",
    r"complaint about message from", r"report domain:", r"dmarc (?:aggregate|failure|report)",
    r"has been (?:successfully )?(?:delivered|relayed) to the following recipient",
    r"your message was (?:displayed|read)", r"return receipt", r"successfully delivered",
    r"message was opened", r"awaits? moderator approval",
)
DELIVERED = Wordings(
    r"(?:was|were|been) (?:successfully )?(?:delivered|relayed) to the following",
    r"successfully (?:delivered|relayed|sent)", r"delivered successfully",
)
# A sentence that says: what follows (or what is named here) has failed.
FAILURE = Wordings(
    r"(?:could|can|would|did|was|were|has|have|is|are)(?:n['\u2019]?t| ?not| not been) (?:yet )?(?:be |"
    r"been |able to )?(?:deliver|sent\b|reach|receive|accepted|transfer|forward|collected|a valid|"
    r"handled|completed)",
    r"(?:wasn['\u2019]?t|not|was not|were not) able to deliver", r"cannot be delivered",
    r"undeliver(?:able|ed)",
    r"(?:delivery|deliver|mail|message|transmission|address(?:es)?|"
    r"recipients?)[\w ,'()\x22/-]{0,60}(?:fail|abort|error|reject|refus|delayed|postponed|unsuccessful)",
    r"failed (?:recipient|address|to deliver|to send|permanently|because|after)",
    r"(?:following|these|this|intended) (?:e-?mail )?(?:address|recipient|destination)",
    r"unable to deliver", r"problems? delivering", r"trouble delivering", r"delivery (?:problems?|errors?)",
    r"permanent fatal errors", r"fatal errors", r"transient non-fatal", r"not (?:been )?delivered",
    r"returned (?:to|because|for)", r"being returned", r"bounced", r"unknown user",
    r"user (?:is )?(?:unknown|not known)", r"unknown recipient", r"no such (?:user|recipient|mailbox)",
    r"invalid (?:recipient|address|user|final)", r"mailbox (?:is )?(?:full|unavailable|not found)",
    r"over ?quota", r"quota (?:violation|exceed)", r"unknown host", r"host unknown",
    r"does(?:n['\u2019]?t| not) (?:exist|have)", r"do(?:n['\u2019]?t| not) exist",
    r"no longer (?:valid|exist)", r"is (?:un|not )available", r"failure reasons?", r"rejected recipient",
    r"did not exactly match", r"not match an?",
    r"has (?:failed|been (?:delayed|postponed|rejected|returned))", r"not listed in", r"user not found",
    r"recipient name is not recognized", r"failed addresses", r"error-for", r"no valid recipients",
    r"no pudo ser entregado", r"no (?:se )?(?:ha )?(?:podido|pudo|puede|pueden) (?:ser )?entrega",
    r"destinatari[\w ]{0,30}(?:desconocido|rechaz)", r"nao p[oô]de ser",
    r"não (?:p[oô]de|foi|pode) ser entregue", r"n'a pas pu [eê]tre", r"pas pu [eê]tre (?:remis|d[eé]livr)",
    r"a échoué", r"echoue", r"n'a pas été",
    r"nicht (?:\w{2,12} )?(?:zugestellt|zustellen|ausgeliefert|erreicht)", r"konnte nicht", r"unzustellbar",
    r"fehlgeschlagen", r"non (?:è stato|e' stato|recapit|consegnat)",
    r"impossibile (?:recapitare|consegnare)", r"невозможно доставить", r"не может быть доставлен",
    r"не доставлен", r"配信(?:でき|不能|され)", r"送信(?:でき|不能)", r"届け(?:でき|られ)", r"宛先.{0,20}(?:不明|見つかり)",
    r"无法(?:发送|投递|送达)", r"投递失败", r"退回", r"\b5[0-5][0-9][ -](?:[45]\.[0-9]\.[0-9]|\w)", r"#5\.[0-9]\.[0-9]",
    r"requested action not taken", r"unrouteable", r"rejected by", r"not accept(?:ing|ed)",
)
# Where the report ends and the returned mail begins.
RETURNED = Wordings(
    r"^\W{0,80}(?:below (?:this|the next) line|(?:this|here|enclosed|included|attachment|following|"
    r"attached|a) ?(?:is|are)? ?(?:a )?copy of (?:the|your|this)|(?:the )?original (?:message|mail|"
    r"e-?mail)[\w .()/-]{0,40}(?:follow|attach|header|\bas received|text|below|details|-{2,}|:\s*$)|"
    r"original message\W{0,80}$|(?:message|mail) (?:headers?|text|body|source|"
    r"content)\b[\w .:()-]{0,40}(?:follow|suppress|below|:?\W{0,80}$)|(?:the )?(?:header|"
    r"first [0-9]{1,3} lines|headers?)[\w ()]{0,40} (?:of|from) (?:the|your)|unsent message|"
    r"undelivered message|returned (?:mail|message)|start of returned|old message:|your message reads|"
    r"a summary of the undelivered|forwarded message|begin(?:ning of)? (?:the )?(?:original|returned|"
    r"forwarded|message)|mensaje original|message original|ursprüngliche nachricht|"
    r"messaggio originale|mensagem original|original nachricht|header of the source|"
    r"the message follows|(?:the )?(?:text|start|top|rest|header and top)[\w ]{0,30} (?:of|"
    r"lines of) (?:the|your) (?:original )?(?:message|mail)|transcript of (?:the )?message|"
    r"the following is (?:a copy|the original)|message contents? follows?|-+ ?original|"
    r"copia del mensaje)",
    r"^>? ?(?:return-path|received|dkim-signature|x-originating-ip|mime-version|delivered-to):\s",
)
# A line that announces recipients on the lines below it, or behind its colon.
ANNOUNCES = Wordings(
    r"(?:following|these|below|failed|affected|undeliverable|not deliver\w{2,3}|unsuccessful|rejected|"
    r"bad|invalid|intended|addressed|some|several|or more)\W?[\w ,'*()/-]{0,60}(?:recipient|address|"
    r"destination|user|mailbox|person|people|target|subscriber|email)",
    r"(?:recipient|address|destination)e?s?(?:\(?e?s\)?)?[\w ,'*()/.-]{0,60}(?:fail|reject|affected|"
    r"follow|undeliver|problem|error|not (?:be )?deliver|could not|cannot|below|didn)",
    r"(?:could not|cannot|was not|not be|unable to|undeliverable|were not|wasn['\u2019]?t|couldn['\u2019]?t|"
    r"failed to|not been|undelivered)[\w ,'*()/-]{0,40}(?:deliver|reach|sent|"
    r"send)[\w ,'*()/-]{0,40}(?:to|:)",
    r"(?:undeliverable|not delivered|undelivered) to", r"did not (?:reach|receive)",
    r"permanent (?:fatal )?error", r"delivery (?:errors?|problems?)", r"failure reasons?",
    r"recipients of this delivery", r"bounced, cannot deliver",
    r"(?:your|the|this) (?:message|mail|e-?mail) (?:to|for|addressed to)\s*:?\s*$",
    r"e-?mail addresse?d? to", r"sorry it didn['\u2019]?t work out", r"pu [eê]tre d[eé]livr",
    r"destinataires?", r"empf[aä]nger", r"destinatari[oi]s?", r"direcci[oó]n", r"indirizz[oi]",
    r"endere[cç]os?", r"宛先", r"收件人", r"адрес", r"получател", r"无法发送", r"投递", r"to this address",
    r"generating server", r"error detail", r"returned an error", r"\d error\(s\)", r"transcript of session follows", r"entregue para",
)
# An address behind one of these names a failed recipient.
LABELS = _any(
    r"(?:original[ -]recipient|(?:failed|intended|final|undeliverable|bad|rejected|invalid|"
    r"unknown) ?-?(?:recipient|address|user|final delivery userid|mailbox)s?(?: address)?|"
    r"recipients?(?: address)?|unknown user|error-for|addressed to|expanded from|generated from|"
    r"unable to deliver (?:message )?to|could not be delivered to|"
    r"undeliverable\s{1,3}to|delivery failed [0-9]{1,3} attempts?|delivery (?:of (?:the )?(?:message|"
    r"e-?mail) )?to|not delivered to|mailbox (?:is )?full|user mailbox exceeds allowed size|"
    r"rejected recipient|rcpt|final-recipient|no such user|user unknown|invalid recipient|mail to|"
    r"message to|e-?mail to|account|local mailbox|quota violation for|gateway for|sent to|"
    r"destinataire|destinatario|"
    r"empf[aä]nger)\s{0,3}[:=\-]{0,2}\s{0,3}(?:rfc822\s?;)?\s{0,3}[<\x22'\[(]{0,2}(?:smtp:)?\s?$",
)
# Sentences that name somebody to ask, not somebody who failed.
CONTACT = Wordings(
    r"contact", r"assistance", r"help", r"please (?:send|forward|write|e-?mail|report|visit)",
    r"send (?:mail|e-?mail|an e-?mail|a message) to", r"questions?", r"support", r"https?://", r"call ",
    r"reply-to", r"administrator", r"from:", r"sender:", r"message-id", r"report (?:this|problems|it)",
    r"mailto", r"^\s*(?:from|cc|bcc|sent|subject|date|reply-to)\s*:", r"message from", r"mail from",
    r"\bsent by\b", r"return-path", r"received from", r"\btry(?:ing)?\b",
    r"(?:write|use) (?:to|at|instead)", r"new (?:e-?mail )?address", r"original sender", r"originator",
)
# After these words stands what the other server said; before them, only courtesy.
LEAD = _any(
    r"the error that the other server returned was:", r"remote host said:",
    r"technical details of (?:permanent|temporary) failure:",
    r"the (?:remote )?(?:mail )?server (?:responded|replied|answered|said)(?: with)?:",
    r"it responded as follows:", r"remote server replied:", r"remote smtp server returned:",
    r"for the following reasons?:", r"the reason (?:for the problem|given|was|it)[\w ]{0,20}:",
    r"^because:", r"error message(?: below)?:", r"delivery failed for the following reason:",
    r"r[ée]ponse du serveur distant\s?:", r"\(reason:",
)
# What a mail system says in every bounce: it must not be taken for the reason.
COURTESY = Wordings(
    r"this is a permanent error[;.]?(?: i['\u2019]ve given up\.?)?", r"i['\u2019]ve given up\.?",
    r"sorry it didn['\u2019]t work out\.?", r"no action is required on your part\.?",
    r"delivery attempts will continue[\w ,]{0,160}\.?",
    r"this (?:message|report) (?:was|is)(?: an?)? (?:created |"
    r"generated )?automatic(?:ally)?[\w ]{0,80}\.?",
    r"this is an? automatic(?:ally)? (?:generated )?(?:delivery status notification|e-?mail|"
    r"message)\.?",
    r"(?:a|the) message that you(?: have)? sent[\w ]{0,60}recipients\.?",
    r"please do not (?:reply|resend)[\w ]{0,40}\.?",
    r"(?:the )?following (?:address|recipient)(?:\(?e?s\)?)?(?: have)? failed(?: permanently)?:?",
    r"delivery to the following recipients? failed(?: permanently)?\.?:?",
    r"hi\. this is the [\w-]{1,30} program at [\w.-]{1,100}\.",
    r"(?:i['\u2019]m afraid )?i wasn['\u2019]t able to deliver your message to the following addresses\.?",
)
# A line that names the step of the dialogue which was refused.
STEP = re.compile(
    r"(?:after|in (?:reply|response) to|following) (?:the )?(?:pipelined )?"
    r"(?:mail|rcpt|helo|ehlo|data|end of data|sending data|starttls|initial)|>>> ?(?:mail|helo|ehlo)",
    re.IGNORECASE,
)
# A line of an SMTP dialogue in which the server refused.
REFUSED = re.compile(
    r"^\s{0,8}(?:<<<|<--|-->|received [<>]{3}|s:|\d{4}-\d\d-\d\d .{0,40}<--)?\s{0,3}[45][0-5][0-9](?:[ -]|$)",
    re.IGNORECASE,
)
