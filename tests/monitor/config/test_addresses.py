"""Several hosts of one database, as libpq and SQLAlchemy write them, come out in the form both read."""

import psycopg.conninfo
import pytest
from sqlalchemy import make_url

from monitor.config.addresses import plain_address

TOGETHER = "postgresql://vigie:p%40ss@/db?host=a,b&port=5432,6432&target_session_attrs=read-write"


@pytest.mark.parametrize("written", [
    "postgresql://vigie:p%40ss@a,b:6432/db?target_session_attrs=read-write",
    "postgresql://vigie:p%40ss@a:5432,b:6432/db?target_session_attrs=read-write",
    "postgresql://vigie:p%40ss@/db?host=a:5432&host=b:6432&target_session_attrs=read-write",
    TOGETHER,
])  # fmt: skip
def test_every_way_of_writing_two_hosts_is_the_same(written):
    assert plain_address(written) == TOGETHER
    wanted = {"host": "a,b", "port": "5432,6432", "user": "vigie", "password": "p@ss", "dbname": "db",
              "target_session_attrs": "read-write"}  # fmt: skip
    assert psycopg.conninfo.conninfo_to_dict(TOGETHER) == wanted
    url = make_url(TOGETHER).set(drivername="postgresql+psycopg")
    assert url.get_dialect()().create_connect_args(url)[1] == wanted


def test_addresses_of_ipv6_lose_their_brackets():
    assert plain_address("postgresql://[2001:db8::1]:5432,[2001:db8::2]/db") == (
        "postgresql:///db?host=2001:db8::1,2001:db8::2&port=5432,5432"
    )


@pytest.mark.parametrize("written", [
    "sqlite:///vigie.sqlite", "postgresql://vigie@127.0.0.1:5432/db", "postgresql://u:a,b@h/db", "postgresql:///db?host=/run/pg",
    "postgresql+psycopg://u@h/db?sslmode=require",
])  # fmt: skip
def test_one_host_stays_as_it_is_written(written):
    assert plain_address(written) == written


@pytest.mark.parametrize("written", ["postgresql://u:secret@a,/db", "postgresql://u:secret@a:x,b/db", "postgresql://u:secret@a:1:2,b/db"])
def test_what_is_no_host_is_refused_without_the_password(written):
    with pytest.raises(ValueError, match="HOST:PORT,HOST:PORT") as caught:
        plain_address(written)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["p@ss", "p/ss@x", "p#ss", "p?ss", "p@ss/w#rd"])
def test_a_password_that_ends_early_is_refused_with_what_to_write(password):
    with pytest.raises(ValueError, match=r"write @ / # . in the password as %40 %2F %23 %3F") as refused:
        plain_address(f"postgresql://vigie:{password}@db.example.com/vigie")
    assert password not in str(refused.value)


@pytest.mark.parametrize("written", [
    "postgresql://vigie@server:opensesame@db/vigie", "postgresql://vigie:p%40ss@db:5432/vigie", "sqlite:////srv/a@b/vigie.sqlite",
    "postgresql://vigie:opensesame@db/vigie?application_name=a@b", "postgresql:///vigie?host=/run/postgresql",
])
def test_an_at_sign_elsewhere_ends_no_password(written):
    assert plain_address(written) == written
