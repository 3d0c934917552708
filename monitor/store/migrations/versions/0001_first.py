"""Everything Vigie keeps, as it was at first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.records import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table('api_key',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('scopes', sa.JSON(), nullable=False),
    sa.Column('customer', sa.String(), nullable=True),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('revoked_at', Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('sha256')
    )
    op.create_table('batch',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('known_at', Instant(), nullable=False),
    sa.Column('observations', sa.Integer(), nullable=False),
    sa.Column('traces', sa.Integer(), nullable=False),
    sa.Column('parked', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('source', 'key')
    )
    op.create_index(op.f('ix_batch_known_at'), 'batch', ['known_at'], unique=False)
    op.create_table('cursor',
    sa.Column('collector', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('value', sa.JSON(), nullable=False),
    sa.Column('updated_at', Instant(), nullable=False),
    sa.PrimaryKeyConstraint('collector', 'name')
    )
    op.create_table('customer',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('evidence',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('batch_id', ID, nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('expires_at', Instant(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_evidence_batch_id'), 'evidence', ['batch_id'], unique=False)
    op.create_index(op.f('ix_evidence_expires_at'), 'evidence', ['expires_at'], unique=False)
    op.create_table('incident',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('rule', sa.String(), nullable=False),
    sa.Column('subject_key', sa.String(), nullable=False),
    sa.Column('open_key', sa.String(), nullable=False),
    sa.Column('subject', sa.JSON(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('severity', sa.String(), nullable=False),
    sa.Column('summary', sa.String(), nullable=False),
    sa.Column('evidence', sa.JSON(), nullable=False),
    sa.Column('elapsed_seconds', sa.Float(), nullable=False),
    sa.Column('counted_to', Instant(), nullable=True),
    sa.Column('unknown_reason', sa.String(), nullable=True),
    sa.Column('started_at', Instant(), nullable=False),
    sa.Column('fired_at', Instant(), nullable=True),
    sa.Column('ended_at', Instant(), nullable=True),
    sa.Column('judged_at', Instant(), nullable=False),
    sa.Column('told_at', Instant(), nullable=True),
    sa.Column('told_members', sa.JSON(), nullable=False),
    sa.Column('acked_by', sa.String(), nullable=True),
    sa.Column('acked_at', Instant(), nullable=True),
    sa.Column('ack_reason', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('rule', 'open_key')
    )
    op.create_index(op.f('ix_incident_ended_at'), 'incident', ['ended_at'], unique=False)
    op.create_index(op.f('ix_incident_rule'), 'incident', ['rule'], unique=False)
    op.create_index(op.f('ix_incident_started_at'), 'incident', ['started_at'], unique=False)
    op.create_index(op.f('ix_incident_state'), 'incident', ['state'], unique=False)
    op.create_table('job',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('next_run', Instant(), nullable=False),
    sa.Column('last_run', Instant(), nullable=True),
    sa.Column('lease_owner', sa.String(), nullable=True),
    sa.Column('lease_until', Instant(), nullable=True),
    sa.Column('fence', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('listing',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('target', sa.String(), nullable=False),
    sa.Column('dnsbl', sa.String(), nullable=False),
    sa.Column('phase', sa.String(), nullable=False),
    sa.Column('baseline', sa.Boolean(), nullable=False),
    sa.Column('codes', sa.JSON(), nullable=False),
    sa.Column('hits', sa.Integer(), nullable=False),
    sa.Column('clean_answers', sa.Integer(), nullable=False),
    sa.Column('next_counts_at', Instant(), nullable=True),
    sa.Column('first_seen_at', Instant(), nullable=False),
    sa.Column('last_seen_at', Instant(), nullable=False),
    sa.Column('confirmed_at', Instant(), nullable=True),
    sa.Column('cleared_at', Instant(), nullable=True),
    sa.Column('asked_at', Instant(), nullable=False),
    sa.Column('unknown_reason', sa.String(), nullable=True),
    sa.Column('unknown_since', Instant(), nullable=True),
    sa.Column('detail', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_listing_cleared_at'), 'listing', ['cleared_at'], unique=False)
    op.create_index(op.f('ix_listing_dnsbl'), 'listing', ['dnsbl'], unique=False)
    op.create_index('listing_open', 'listing', ['target', 'dnsbl'], unique=True, sqlite_where=sa.text("phase <> 'cleared'"), postgresql_where=sa.text("phase <> 'cleared'"))
    op.create_index('listing_target', 'listing', ['target', 'dnsbl'], unique=False)
    op.create_table('mailbox_provider',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('domains', sa.JSON(), nullable=False),
    sa.Column('mx', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('outbox',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('incident_id', sa.String(), nullable=False),
    sa.Column('receiver', sa.String(), nullable=False),
    sa.Column('event', sa.String(), nullable=False),
    sa.Column('severity', sa.String(), nullable=False),
    sa.Column('title', sa.String(), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_attempt_at', Instant(), nullable=False),
    sa.Column('lease_owner', sa.String(), nullable=True),
    sa.Column('lease_until', Instant(), nullable=True),
    sa.Column('sent_at', Instant(), nullable=True),
    sa.Column('last_error', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('key')
    )
    op.create_index(op.f('ix_outbox_incident_id'), 'outbox', ['incident_id'], unique=False)
    op.create_index(op.f('ix_outbox_state'), 'outbox', ['state'], unique=False)
    op.create_table('parked',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('batch_id', ID, nullable=False),
    sa.Column('collector', sa.String(), nullable=False),
    sa.Column('place', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('settled_at', Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_parked_at'), 'parked', ['at'], unique=False)
    op.create_table('reading',
    sa.Column('series_id', ID, autoincrement=False, nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('batch_id', ID, autoincrement=False, nullable=False),
    sa.Column('known_at', Instant(), nullable=False),
    sa.Column('value', sa.Double(), nullable=True),
    sa.Column('reason', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('series_id', 'at', 'batch_id'),
    postgresql_partition_by='RANGE (at)',
    sqlite_with_rowid=False
    )
    op.create_table('reading_daily',
    sa.Column('series_id', ID, nullable=False),
    sa.Column('start', Instant(), nullable=False),
    sa.Column('readings', sa.Integer(), nullable=False),
    sa.Column('unknowns', sa.Integer(), nullable=False),
    sa.Column('total', sa.Double(), nullable=True),
    sa.Column('lowest', sa.Double(), nullable=True),
    sa.Column('highest', sa.Double(), nullable=True),
    sa.Column('last', sa.Double(), nullable=True),
    sa.PrimaryKeyConstraint('series_id', 'start'),
    sqlite_with_rowid=False
    )
    op.create_table('reading_hourly',
    sa.Column('series_id', ID, nullable=False),
    sa.Column('start', Instant(), nullable=False),
    sa.Column('readings', sa.Integer(), nullable=False),
    sa.Column('unknowns', sa.Integer(), nullable=False),
    sa.Column('total', sa.Double(), nullable=True),
    sa.Column('lowest', sa.Double(), nullable=True),
    sa.Column('highest', sa.Double(), nullable=True),
    sa.Column('last', sa.Double(), nullable=True),
    sa.PrimaryKeyConstraint('series_id', 'start'),
    sqlite_with_rowid=False
    )
    op.create_table('report_mailbox',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('purpose', sa.String(), nullable=False),
    sa.Column('provider', sa.String(), nullable=True),
    sa.Column('host', sa.String(), nullable=False),
    sa.Column('port', sa.Integer(), nullable=False),
    sa.Column('tls', sa.String(), nullable=False),
    sa.Column('username', sa.String(), nullable=False),
    sa.Column('secret', sa.String(), nullable=False),
    sa.Column('folder', sa.String(), nullable=False),
    sa.Column('done_folder', sa.String(), nullable=True),
    sa.Column('parked_folder', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('rollup_due',
    sa.Column('start', Instant(), nullable=False),
    sa.Column('series_id', ID, autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('start', 'series_id'),
    sqlite_with_rowid=False
    )
    op.create_table('run',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('collector', sa.String(), nullable=False),
    sa.Column('started_at', Instant(), nullable=False),
    sa.Column('ended_at', Instant(), nullable=True),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=True),
    sa.Column('text', sa.String(), nullable=True),
    sa.Column('batches', sa.Integer(), nullable=False),
    sa.Column('repeats', sa.Integer(), nullable=False),
    sa.Column('observations', sa.Integer(), nullable=False),
    sa.Column('unknowns', sa.Integer(), nullable=False),
    sa.Column('traces', sa.Integer(), nullable=False),
    sa.Column('parked', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_run_collector'), 'run', ['collector'], unique=False)
    op.create_index(op.f('ix_run_started_at'), 'run', ['started_at'], unique=False)
    op.create_table('seed',
    sa.Column('address', sa.String(), nullable=False),
    sa.Column('provider', sa.String(), nullable=False),
    sa.Column('host', sa.String(), nullable=False),
    sa.Column('port', sa.Integer(), nullable=False),
    sa.Column('tls', sa.String(), nullable=False),
    sa.Column('username', sa.String(), nullable=True),
    sa.Column('secret', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('address')
    )
    op.create_table('series',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('measure', sa.String(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('customer', sa.String(), nullable=True),
    sa.Column('stream', sa.String(), nullable=True),
    sa.Column('campaign', sa.String(), nullable=True),
    sa.Column('ip', sa.String(), nullable=True),
    sa.Column('domain', sa.String(), nullable=True),
    sa.Column('provider', sa.String(), nullable=True),
    sa.Column('dnsbl', sa.String(), nullable=True),
    sa.Column('collector', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('key')
    )
    op.create_index(op.f('ix_series_customer'), 'series', ['customer'], unique=False)
    op.create_index(op.f('ix_series_measure'), 'series', ['measure'], unique=False)
    op.create_table('setting',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('value', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('silence',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('matchers', sa.JSON(), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('since', Instant(), nullable=False),
    sa.Column('until', Instant(), nullable=False),
    sa.Column('ended_at', Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_silence_until'), 'silence', ['until'], unique=False)
    op.create_table('suspension',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('scope', sa.JSON(), nullable=False),
    sa.Column('scope_key', sa.String(), nullable=False),
    sa.Column('effect', sa.String(), nullable=False),
    sa.Column('rate_per_hour', sa.Integer(), nullable=True),
    sa.Column('rule', sa.String(), nullable=True),
    sa.Column('incident_id', sa.String(), nullable=True),
    sa.Column('member', sa.String(), nullable=True),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('evidence', sa.JSON(), nullable=False),
    sa.Column('since', Instant(), nullable=False),
    sa.Column('until', Instant(), nullable=True),
    sa.Column('lifts_when', sa.String(), nullable=True),
    sa.Column('lifted_at', Instant(), nullable=True),
    sa.Column('lifted_by', sa.String(), nullable=True),
    sa.Column('lift_reason', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_suspension_incident_id'), 'suspension', ['incident_id'], unique=False)
    op.create_index(op.f('ix_suspension_lifted_at'), 'suspension', ['lifted_at'], unique=False)
    op.create_index(op.f('ix_suspension_scope_key'), 'suspension', ['scope_key'], unique=False)
    op.create_index(op.f('ix_suspension_until'), 'suspension', ['until'], unique=False)
    op.create_table('trace',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('batch_id', ID, nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('known_at', Instant(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('customer', sa.String(), nullable=True),
    sa.Column('stream', sa.String(), nullable=True),
    sa.Column('campaign', sa.String(), nullable=True),
    sa.Column('ip', sa.String(), nullable=True),
    sa.Column('domain', sa.String(), nullable=True),
    sa.Column('provider', sa.String(), nullable=True),
    sa.Column('recipient_hash', sa.String(), nullable=True),
    sa.Column('message_id', sa.String(), nullable=True),
    sa.Column('category', sa.String(), nullable=True),
    sa.Column('status', sa.String(), nullable=True),
    sa.Column('reply_code', sa.String(), nullable=True),
    sa.Column('text', sa.String(), nullable=True),
    sa.Column('how', sa.String(), nullable=True),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_trace_at'), 'trace', ['at'], unique=False)
    op.create_index('trace_message', 'trace', ['message_id'], unique=False)
    op.create_index('trace_recipient', 'trace', ['recipient_hash', 'at'], unique=False)
    op.create_table('transition',
    sa.Column('id', ID, autoincrement=True, nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('of', sa.String(), nullable=False),
    sa.Column('old', sa.String(), nullable=False),
    sa.Column('new', sa.String(), nullable=False),
    sa.Column('why', sa.String(), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('rule', sa.String(), nullable=True),
    sa.Column('evidence', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_transition_at'), 'transition', ['at'], unique=False)
    op.create_index(op.f('ix_transition_of'), 'transition', ['of'], unique=False)
    op.create_table('latest',
    sa.Column('series_id', ID, autoincrement=False, nullable=False),
    sa.Column('asked_at', Instant(), nullable=False),
    sa.Column('at', Instant(), nullable=True),
    sa.Column('since', Instant(), nullable=True),
    sa.Column('value', sa.Double(), nullable=True),
    sa.Column('reason', sa.String(), nullable=True),
    sa.Column('unknown_since', Instant(), nullable=True),
    sa.Column('detail', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['series_id'], ['series.id'], ),
    sa.PrimaryKeyConstraint('series_id')
    )
    op.create_table('pool',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('customer', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['customer'], ['customer.id'], ),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('sending_domain',
    sa.Column('domain', sa.String(), nullable=False),
    sa.Column('customer', sa.String(), nullable=True),
    sa.Column('stream', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['customer'], ['customer.id'], ),
    sa.PrimaryKeyConstraint('domain')
    )
    op.create_table('stream',
    sa.Column('customer', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['customer'], ['customer.id'], ),
    sa.PrimaryKeyConstraint('customer', 'name')
    )
    op.create_table('sending_ip',
    sa.Column('address', sa.String(), nullable=False),
    sa.Column('pool', sa.String(), nullable=True),
    sa.Column('customer', sa.String(), nullable=True),
    sa.Column('role', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['customer'], ['customer.id'], ),
    sa.ForeignKeyConstraint(['pool'], ['pool.name'], ),
    sa.PrimaryKeyConstraint('address')
    )
