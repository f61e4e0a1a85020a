import { readFileSync } from 'node:fs';
import { request } from 'node:https';

import type { MemberIdentities } from '../identities/member.ts';
import { HOST } from './ports.ts';

const LIMIT_MS = 2000;

/** What a node's operations endpoint answers at a path. Rejects when it does not answer within two seconds. */
export function askOperations(
  { tlsCa, clientTls }: MemberIdentities,
  port: number,
  path: '/healthz' | '/metrics',
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: HOST,
        port,
        path,
        agent: false,
        // The name to check the certificate for: an address is none.
        servername: 'localhost',
        ca: readFileSync(tlsCa.certificate),
        cert: readFileSync(clientTls.certificate),
        key: readFileSync(clientTls.key),
        signal: AbortSignal.timeout(LIMIT_MS),
      },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (text: string) => (body += text));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', reject);
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

/** Whether a node says that it is well. */
export async function isHealthy(identities: MemberIdentities, port: number): Promise<boolean> {
  return askOperations(identities, port, '/healthz').then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** Whether the node that has answered so is the orderer that the others follow. */
export function isLeading(metrics: string): boolean {
  return ['consensus_BFT_is_leader', 'consensus_etcdraft_is_leader'].some(
    (name) => metricIn(metrics, name) === 1,
  );
}

/** A metric's value in what a node has answered, the first if it has several. */
export function metricIn(metrics: string, name: string): number | undefined {
  const line = metrics.split('\n').find((text) => text.startsWith(`${name}{`) || text.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
}
