// npm smpp as an SMSC: one account, an id for each submit, then its receipt and once a reply.
// Arguments: module, system_id, password. Output is lines of JSON, the first with the port.
'use strict';

const [, , module_, system_id, password] = process.argv;
const smpp = require(module_);

const RECEIPT = 0x04;
const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
let submits = 0;

const server = smpp.createServer((session) => {
  let account = null;
  const login = (pdu) => {
    const known = pdu.system_id === system_id && pdu.password === password;
    account = known ? pdu.system_id : null;
    tell('login', { known, version: pdu.interface_version });
    const command_status = known ? smpp.ESME_ROK : smpp.ESME_RINVPASWD;
    session.send(pdu.response({ command_status, system_id: 'NPM' }));
    if (!known) session.close();
  };
  session.on('bind_transceiver', login);
  session.on('submit_sm', (pdu) => {
    if (account === null) {
      session.send(pdu.response({ command_status: smpp.ESME_RINVBNDSTS }));
      return;
    }
    if (pdu.destination_addr.endsWith('9999')) {
      session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
      return;
    }
    submits += 1;
    const message_id = `npm-${submits}`;
    const message = pdu.short_message.message;
    tell('submitted', {
      message_id,
      from: pdu.source_addr,
      to: pdu.destination_addr,
      data_coding: pdu.data_coding,
      registered_delivery: pdu.registered_delivery,
      validity_period: String(pdu.validity_period || ''),
      udh: (pdu.short_message.udh || []).map((element) => element.toString('hex')),
      text: Buffer.isBuffer(message) ? message.toString('hex') : message,
    });
    session.send(pdu.response({ message_id }));
    session.deliver_sm({
      source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr,
      esm_class: RECEIPT,
      short_message:
        `id:${message_id} sub:001 dlvrd:001 submit date:2608091030 done date:2608091031 ` +
        'stat:DELIVRD err:000 text:',
    }, () => tell('acknowledged', { what: message_id }));
    if (submits === 1) {
      session.deliver_sm({
        source_addr: pdu.destination_addr,
        destination_addr: pdu.source_addr,
        data_coding: 8,
        short_message: '退订',
      }, () => tell('acknowledged', { what: 'reply' }));
    }
  });
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('error', (error) => tell('error', { text: String(error) }));
});
server.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }));
