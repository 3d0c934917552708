'use strict'
// Haraka asks Vigie before each delivery: hook send_email runs just before a mail goes out, and waits as long as Vigie says.
//
// config/vigie.ini: url = https://vigie.example.com, key = vigie_… (scope gate), away = send | hold (when nobody answers),
// customer = acme (whose mail it is where the plugin that took it did not say so in transaction.notes.vigie:
// { customer, stream, campaign, ip, domain }).

exports.register = function () {
    this.vigie = this.config.get('vigie.ini').main
    this.http = require(this.vigie.url.startsWith('https:') ? 'node:https' : 'node:http')
    this.agent = new this.http.Agent({ keepAlive: true })
    this.register_hook('send_email', 'ask_vigie')
}

exports.ask_vigie = function (next, hmail) {
    const { url, key, away, customer } = this.vigie
    const { domain, rcpt_to, notes } = hmail.todo
    const mail = { customer, ...notes?.vigie, recipient_domain: domain, count: rcpt_to.length }
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }
    const failed = (why) => {
        this.logwarn(`${why}: mail is ${away === 'hold' ? 'held' : 'sent'}`)
        if (away === 'hold') next(DELAY, 60)
        else next()
    }
    const options = { method: 'POST', headers, agent: this.agent, timeout: 2000 }
    const request = this.http.request(`${url}/v1/decision`, options, (answer) => {
        let text = ''
        answer.on('data', (piece) => { text += piece })
        answer.on('end', () => {
            if (answer.statusCode !== 200) return failed(`Vigie answers ${answer.statusCode}`)
            const { decision, reasons, retry_after_seconds } = JSON.parse(text)
            if (decision !== 'hold') return next()
            this.loginfo(`${mail.customer} to ${domain} waits: ${reasons[0]?.text}`)
            next(DELAY, retry_after_seconds ?? 600)
        })
    })
    request.on('error', (error) => failed(error.message))
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.end(JSON.stringify(mail))
}
