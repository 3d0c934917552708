"""A private Dovecot (2.3) on loopback: its own configuration, users and Maildir, as root or as anybody."""

import grp
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.waiting import PATIENCE_SECONDS, free_port

CONFIGURATION = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
last_valid_uid = 0
mail_uid = {uid}
mail_gid = {gid}
mail_home = {base}/home/%u
mail_location = maildir:~/Maildir
disable_plaintext_auth = no
ssl = {ssl}
{certificate}
auth_mechanisms = plain login{mechanisms}
auth_failure_delay = 0
{oauth}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
{more}
"""


OAUTH = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {base}/oauth2.conf
}}
"""


class Dovecot:
    """`with Dovecot() as server:` any user may log in, `new_user()` gives an empty mailbox.

    `capabilities` replaces what the server offers, to hide an extension. `tokeninfo_url`: where it asks whose an access
    token is (tests.servers.oauth); with it, users may log in with XOAUTH2 as well.
    """

    password = "secret"

    def __init__(self, *, tls: bool = False, capabilities: str | None = None, tokeninfo_url: str | None = None) -> None:
        # not below pytest's directory, which every run closes to all but its maker; short, for UNIX sockets
        self.base = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.capabilities = capabilities
        self.tokeninfo_url = tokeninfo_url
        self.user = "fbl"
        # mail must not be opened as root, so root lends it to nobody
        self.owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.process: subprocess.Popen[bytes] | None = None
        self.delivered = 0

    @property
    def maildir(self) -> Path:
        return self.base / "home" / self.user / "Maildir"

    def __enter__(self):
        self._lay_out()
        program = shutil.which("dovecot") or "/usr/sbin/dovecot"
        self.process = subprocess.Popen([program, "-F", "-c", str(self.base / "dovecot.conf")],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            self._await_greeting()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.base, ignore_errors=True)

    def new_user(self) -> None:
        self.user = f"fbl{secrets.token_hex(4)}"
        self._make(self.maildir / "new")

    def deliver(self, raw: bytes, folder: str = "INBOX") -> None:
        """As a delivery agent does: written to tmp, then renamed into new. Idling clients are notified."""
        box = self.maildir if folder == "INBOX" else self.maildir / f".{folder.replace('/', '.')}"
        for part in ("tmp", "new", "cur"):
            self._make(box / part)
        self.delivered += 1
        name = f"{int(time.time())}.M{time.time_ns() % 10**9}P{os.getpid()}Q{self.delivered}.example"
        written = box / "tmp" / name
        written.write_bytes(raw)
        os.chown(written, self.owner.pw_uid, self.owner.pw_gid)
        written.rename(box / "new" / name)

    def count(self, folder: str) -> int:
        """How many mails lie in a folder below the inbox."""
        box = self.maildir / f".{folder.replace('/', '.')}"
        return sum(len(list((box / part).iterdir())) for part in ("new", "cur"))

    def renumber(self) -> None:
        """Forget UIDs, as a rebuilt mail store does: the next client meets a new UIDVALIDITY."""
        time.sleep(1.1)  # UIDVALIDITY is a time in seconds
        for pattern in ("dovecot-uidlist", "dovecot-uidvalidity*", "dovecot.index*", "dovecot.list.index*"):
            for file in self.maildir.glob(pattern):
                file.unlink()

    def _lay_out(self) -> None:
        root = os.geteuid() == 0
        self.base.chmod(0o755)  # the owner of the mail has to pass
        self._make(self.maildir / "new")
        group = "dovecot" if root else grp.getgrgid(self.owner.pw_gid).gr_name
        certificate = self._certificate() if self.tls_port else ""
        more = f"protocol imap {{\n  imap_capability = {self.capabilities}\n}}" if self.capabilities else ""
        if self.tokeninfo_url:
            (self.base / "oauth2.conf").write_text(f"tokeninfo_url = {self.tokeninfo_url}\nusername_attribute = email\n")
        (self.base / "dovecot.conf").write_text(CONFIGURATION.format(
            base=self.base, internal="dovecot" if root else self.owner.pw_name, internal_group=group,
            login="dovenull" if root else self.owner.pw_name, uid=self.owner.pw_uid, gid=self.owner.pw_gid,
            password=self.password, port=self.port, tls_port=self.tls_port,
            mechanisms=" xoauth2" if self.tokeninfo_url else "",
            oauth=OAUTH.format(base=self.base) if self.tokeninfo_url else "",
            ssl="yes" if self.tls_port else "no", certificate=certificate, more=more))

    def _make(self, directory: Path) -> None:
        missing = [part for part in (directory, *directory.parents) if not part.exists()]
        for part in reversed(missing):
            part.mkdir()
            os.chown(part, self.owner.pw_uid, self.owner.pw_gid)

    def _certificate(self) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
                .not_valid_after(now + timedelta(days=2))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .sign(key, hashes.SHA256()))
        (self.base / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (self.base / "key.pem").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return f"ssl_cert = <{self.base}/cert.pem\nssl_key = <{self.base}/key.pem"

    def _await_greeting(self) -> None:
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends_at:
            if self.process.poll() is not None:
                raise RuntimeError(f"dovecot ended: {self.process.stdout.read().decode()}{self.log()}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as probe:
                    if probe.recv(64).startswith(b"* OK"):
                        return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"dovecot does not answer: {self.log()}")

    def log(self) -> str:
        file = self.base / "log"
        return file.read_text() if file.exists() else ""
