"""A mail server that takes mail from one client after another (RFC 5321), as far as a sender without TLS needs it."""

import email
import email.policy
import socketserver
import threading


class SmtpServer:
    """`mails` holds (recipients, message). `refuse` answers RCPT with 451 so many times."""

    def __init__(self):
        self.mails, self.refuse = [], 0
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                recipients = []
                self.say("220 mx.example ESMTP")
                while line := self.rfile.readline().decode().strip():
                    verb = line.split(" ")[0].upper()
                    if verb == "EHLO":
                        self.say("250-mx.example", "250 8BITMIME")
                    elif verb == "RCPT" and server.refuse:
                        server.refuse -= 1
                        self.say("451 try again later")
                    elif verb == "RCPT":
                        recipients.append(line.partition("<")[2].partition(">")[0])
                        self.say("250 ok")
                    elif verb == "DATA":
                        self.say("354 go on")
                        server.mails.append((recipients, self.message()))
                        recipients = []
                        self.say("250 taken")
                    else:
                        self.say("221 bye" if verb == "QUIT" else "250 ok")
                        if verb == "QUIT":
                            return

            def message(self):
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line.removeprefix(b"."))
                return email.message_from_bytes(b"".join(lines), policy=email.policy.default)

            def say(self, *lines):
                self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
