-- What dashboards read on PostgreSQL: names and columns that stay while the tables below them change.
-- A column may be added; one that goes, or means something else, is said in CHANGELOG.md. No view has a recipient,
-- a body of a mail, a key or a setting. Made anew after each migration (monitor.database.views).

-- Counts and gauges by hour and by day, one row a series: `total` of counts; `lowest`, `highest`, `last` of the others.
-- `unknowns` of `readings` were asked for and not known: a period with no row was never asked about.
CREATE VIEW grafana_hourly AS
SELECT period.start AS time, series.measure, series.customer, series.stream, series.campaign, series.ip, series.domain, series.provider,
       series.dnsbl, series.operator, series.mailbox, series.seed, series.aspect, series.collector,
       period.total, period.lowest, period.highest, period.last, period.readings, period.unknowns
FROM reading_hourly AS period JOIN series ON series.id = period.series_id;

CREATE VIEW grafana_daily AS
SELECT period.start AS time, series.measure, series.customer, series.stream, series.campaign, series.ip, series.domain, series.provider,
       series.dnsbl, series.operator, series.mailbox, series.seed, series.aspect, series.collector,
       period.total, period.lowest, period.highest, period.last, period.readings, period.unknowns
FROM reading_daily AS period JOIN series ON series.id = period.series_id;

-- What holds now, of states and gauges. `value` is the newest known answer, from `at`; `reason` is set while the newest is unknown.
CREATE VIEW grafana_now AS
SELECT series.measure, series.customer, series.stream, series.campaign, series.ip, series.domain, series.provider,
       series.dnsbl, series.operator, series.mailbox, series.seed, series.aspect, series.collector,
       latest.value, latest.at, latest.since, latest.checked_at, latest.reason, latest.unknown_since
FROM latest JOIN series ON series.id = latest.series_id;

-- Incidents, open and ended.
CREATE VIEW grafana_incident AS
SELECT id, rule, state, severity, summary, unknown_reason,
       subject->>'customer' AS customer, subject->>'stream' AS stream, subject->>'campaign' AS campaign, subject->>'provider' AS provider,
       subject->>'ip' AS ip, subject->>'domain' AS domain, subject->>'operator' AS operator, subject->>'dnsbl' AS dnsbl,
       subject->>'mailbox' AS mailbox, subject->>'collector' AS collector,
       started_at, fired_at, ended_at, judged_at, notified_at, acked_by, acked_at, ack_reason, ack_until
FROM incident;

-- What each rule says now of each group.
CREATE VIEW grafana_verdict AS
SELECT rule, state, answer, reason, severity, summary,
       subject->>'customer' AS customer, subject->>'stream' AS stream, subject->>'campaign' AS campaign, subject->>'provider' AS provider,
       subject->>'ip' AS ip, subject->>'domain' AS domain, subject->>'operator' AS operator, subject->>'dnsbl' AS dnsbl,
       subject->>'mailbox' AS mailbox, subject->>'collector' AS collector,
       since, heard_at, judged_at
FROM verdict;

CREATE VIEW grafana_rule AS
SELECT rule, condition, signal, mode, severity, judged_at, error FROM judged_rule;

-- What is held or slowed, now and before. `in_force` as the gate has it.
CREATE VIEW grafana_suspension AS
SELECT id, effect, rate_per_hour, rule, incident_id, actor, text, lifts_when, since, until, lifted_at, lifted_by, lift_reason,
       lifted_at IS NULL AND (until IS NULL OR until > now()) AS in_force,
       scope->>'customer' AS customer, scope->>'stream' AS stream, scope->>'campaign' AS campaign, scope->>'provider' AS provider,
       scope->>'ip' AS ip, scope->>'pool' AS pool, scope->>'domain' AS domain,
       (SELECT string_agg(field.key || ' ' || field.value, ', ' ORDER BY field.key) FROM json_each_text(scope) AS field) AS scope
FROM suspension;

-- Every change of an incident, a suspension or a listing.
CREATE VIEW grafana_transition AS
SELECT at AS time, kind, of, old, new, why, actor, rule FROM transition;

-- Who is or was on which list. `phase`: suspected, listed, clearing, cleared.
CREATE VIEW grafana_listing AS
SELECT target, dnsbl, phase, baseline, first_seen_at, last_seen_at, confirmed_at, cleared_at, ended_reason, checked_at,
       unknown_reason, unknown_since
FROM listing;

-- Refusals, bounces and complaints one by one, without the recipient.
CREATE VIEW grafana_trace AS
SELECT at AS time, known_at, kind, NULLIF(customer, '') AS customer, stream, campaign, ip, domain, provider, category, status,
       reply_code, text, how, count, source
FROM trace;

CREATE VIEW grafana_run AS
SELECT collector, started_at, ended_at, outcome, reason, text, batches, repeats, observations, unknowns, traces, parked FROM run;

-- One row a collector: its newest run, and when one last succeeded.
CREATE VIEW grafana_collector AS
SELECT newest.collector, newest.started_at, newest.ended_at, newest.outcome, newest.reason, newest.text, newest.unknowns,
       (SELECT max(good.ended_at) FROM run AS good WHERE good.collector = newest.collector AND good.outcome IN ('ok', 'partial')) AS succeeded_at
FROM (SELECT DISTINCT ON (collector) * FROM run ORDER BY collector, id DESC) AS newest;

-- Messages to people, without their text.
CREATE VIEW grafana_notification AS
SELECT created_at AS time, receiver, event, severity, title, state, attempts, sent_at, last_error FROM outbox;

-- Our enrolments in the providers' feedback loops.
CREATE VIEW grafana_enrolment AS
SELECT provider, kind, subject, state, requested_at, active_at, ends_at, updated_at FROM fbl_enrolment;

-- Warm-ups, and their days that are over: `sent` as records or senders' returns say, whichever is more.
CREATE VIEW grafana_warm_up AS
SELECT id, ip, domain, COALESCE(ip, domain) AS subject, provider, plan, standing, step, per_day, overflow, day, used_up_day,
       GREATEST(returned, recorded) AS sent, stuck_days, waiting_days, needs, needs_at, actor, reason, started_at, stopped_at
FROM warm_up;

CREATE VIEW grafana_warm_up_day AS
SELECT (of_day.day || 'T00:00:00Z')::timestamptz AS time, warm_up.ip, warm_up.domain, COALESCE(warm_up.ip, warm_up.domain) AS subject, warm_up.provider,
       of_day.standing, of_day.step, of_day.cap, GREATEST(of_day.returned, of_day.recorded) AS sent, of_day.delivered, of_day.was, of_day.move, of_day.why
FROM warm_up_day AS of_day JOIN warm_up ON warm_up.id = of_day.warm_up;

-- The inventory.
CREATE VIEW grafana_customer AS SELECT id AS customer, name FROM customer;
CREATE VIEW grafana_stream AS SELECT customer, name AS stream, kind FROM stream;
CREATE VIEW grafana_pool AS SELECT name AS pool, customer FROM pool;
CREATE VIEW grafana_ip AS
SELECT sending_ip.address AS ip, sending_ip.pool, COALESCE(sending_ip.customer, pool.customer) AS customer, sending_ip.role
FROM sending_ip LEFT JOIN pool ON pool.name = sending_ip.pool;
CREATE VIEW grafana_domain AS SELECT domain, customer, stream FROM sending_domain;
