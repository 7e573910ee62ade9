// npm smpp as an ESME: logs in, submits what standard input says, answers what is delivered.
// Arguments: module, port, system_id, password. Input and output are lines of JSON.
'use strict';

const readline = require('readline');
const [, , module_, port, system_id, password] = process.argv;
const smpp = require(module_);

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const text = (short_message) => {
  const message = short_message.message;
  const udh = (short_message.udh || []).map((element) => element.toString('hex'));
  return { text: Buffer.isBuffer(message) ? message.toString('hex') : message, udh };
};

const session = smpp.connect({ host: '127.0.0.1', port: Number(port) }, () => {
  session.bind_transceiver({ system_id, password }, (pdu) => {
    tell('bound', { status: pdu.command_status, system_id: pdu.system_id });
  });
});

session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  tell('delivered', {
    from: pdu.source_addr,
    to: pdu.destination_addr,
    esm_class: pdu.esm_class,
    id: pdu.receipted_message_id || '',
    state: pdu.message_state === undefined ? null : pdu.message_state,
    ...text(pdu.message_payload || pdu.short_message),
  });
});
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('error', (error) => tell('error', { text: String(error) }));
session.on('close', () => process.exit(0));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { command, fields } = JSON.parse(line);
  if (command === 'submit_sm' && fields.udh) {
    fields.short_message = { udh: Buffer.from(fields.udh, 'hex'), message: fields.short_message };
    fields.esm_class = 0x40;
    delete fields.udh;
  }
  session[command](fields || {}, (pdu) => {
    tell('answered', { command, status: pdu.command_status, id: pdu.message_id || '' });
    if (command === 'unbind') session.close();
  });
});
