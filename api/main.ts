import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { readConfig } from './config.ts';
import { createApp } from './http/app.ts';
import { startService } from './services.ts';

/** How long the end may wait for what is under way, ms: a store that is deaf would keep it for much longer. */
const STOP_WITHIN = 8_000;

/** The API's process: environment → service → HTTP → until told to stop. Says so in one JSON line when it is ready. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  // stdout carries the ready line only.
  const logger = pino({ base: null }, pino.destination(2));
  let address = '';
  const { service, stop } = await startService(
    config,
    () => config.publicUrl ?? address,
    ({ level, what, ...detail }) => logger[level](detail, what),
  );
  const server = createServer(
    createApp(service, {
      log: logger,
      docs: !config.production || config.docs,
      trustProxy: config.trustProxy,
    }),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.host, resolve);
  });
  address = `http://${config.host}:${(server.address() as AddressInfo).port}`;
  // Before anybody knows that we are there: whoever does may tell us to stop at once.
  const asked = new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  process.stdout.write(`${JSON.stringify({ ready: true, url: address, publicUrl: service.publicUrl })}\n`);
  await asked;
  // Whatever is under way may be repeated by whoever asked; nothing is lost by an end without it.
  setTimeout(() => {
    process.stderr.write(`not stopped in order within ${STOP_WITHIN} ms\n`);
    process.exit(1);
  }, STOP_WITHIN).unref();
  server.close();
  server.closeIdleConnections();
  await stop();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
