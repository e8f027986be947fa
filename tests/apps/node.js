// SPDX-License-Identifier: MIT
// An echo server by net, one by http, and clients that check what comes back.
//
// usage: node.js serve | stream PORT CONNECTIONS BYTES |
//        http PORT CONNECTIONS REQUESTS | bodies PORT CONNECTIONS REQUESTS
'use strict';
const crypto = require('crypto');
const http = require('http');
const net = require('net');

const [what, ...numbers] = process.argv.slice(2);
const [port, connections, amount] = numbers.map(Number);
const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');

function fail(text) {
  console.error(text);
  process.exit(1);
}

function serve() {
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const web = http.createServer((request, response) => request.pipe(response));
  web.keepAliveTimeout = 60000;
  echo.listen(0, '127.0.0.1', () => web.listen(0, '127.0.0.1', () =>
    console.log(`listening ${echo.address().port} ${web.address().port}`)));
}

function stream() {
  const data = crypto.randomBytes(amount);
  const got = [];
  const socket = net.connect(port, '127.0.0.1');
  let at = 0;
  const write = () => {
    while (at < amount) {
      const end = Math.min(amount, at + 1 + Math.floor(Math.random() * 200000));
      const more = socket.write(data.subarray(at, end));
      at = end;
      if (!more)
        return socket.once('drain', write);
    }
    socket.end();
  };
  write();
  socket.on('data', (piece) => got.push(piece));
  socket.on('error', (error) => fail(error.stack));
  return new Promise((resolve) => socket.on('end', () => {
    const all = Buffer.concat(got);
    if (digest(all) !== digest(data))
      fail(`${all.length} of ${amount} bytes came back, or others`);
    resolve();
  }));
}

function request(agent, data) {
  return new Promise((resolve) => {
    const asked = http.request({ host: '127.0.0.1', port, method: 'POST', agent }, (response) => {
      const got = [];
      response.on('data', (piece) => got.push(piece));
      response.on('end', () => {
        const all = Buffer.concat(got);
        if (digest(all) !== digest(data))
          fail(`${all.length} of ${data.length} bytes came back, or others`);
        resolve();
      });
    });
    asked.on('error', (error) => fail(error.stack));
    asked.end(data);
  });
}

async function requests(bytes) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const connect = agent.createConnection;
  let made = 0;
  agent.createConnection = function (...options) {
    made++;
    return connect.apply(this, options);
  };
  const one = async () => {
    for (let i = 0; i < amount / connections; i++)
      await request(agent, crypto.randomBytes(bytes()));
  };
  await Promise.all(Array.from({ length: connections }, one));
  agent.destroy();
  if (made > connections)
    fail(`${made} connections, where ${connections} were enough`);
}

async function main() {
  switch (what) {
  case 'serve':
    return serve();
  case 'stream':
    return Promise.all(Array.from({ length: connections }, stream));
  case 'http':
    return requests(() => 1 + Math.floor(Math.random() * 2000));
  case 'bodies':
    return requests(() => 5000000 + Math.floor(Math.random() * 1000));
  }
  fail('usage: see the first lines');
}

main();
