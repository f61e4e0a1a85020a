// Whatever is killed at whatever moment, nothing is lost and nothing doubled. The moments that matter lie between two durable
// effects; each is named here, stands once in the pipeline, and tests kill the process there.

/** Every place between two durable effects of the pipeline, and what is done and not done there. */
export const FAILPOINTS = {
  'registry-read':
    'what the mirror lacks of the registry was read from the ledger and is not in the mirror yet',
  'registry-written': 'the mirror knows the registry, and nothing of the request is stored yet',
  'receive-before-commit': 'the events of a request are judged and inserted, and not committed',
  'receive-after-commit': 'the events of a request are committed, and no worker and no caller knows of them',
  'receive-before-answer': 'the verdict that a caller waits for may be there, and the caller has no answer',

  'turn-locked': "a worker holds its organisation's lock and has done nothing yet",
  'turn-over': "a worker is done and still holds its organisation's lock",

  'batch-endorsed': 'the endorsers have judged the batch, and the service has not judged it again',
  'batch-judged': 'the service agrees with the endorsers, and nothing is stored of it',
  'attempt-before-save': "the batch's transaction id is about to be stored",
  'attempt-after-save': "the transaction's id is stored, and nothing was submitted",
  'batch-ordered': 'the transaction is ordered, and its validation code is not known yet',
  'batch-answered': 'the validation code is known, and nothing is settled',
  'attempt-found': "an earlier attempt's transaction is found to be valid, and not settled yet",
  'judge-refreshed':
    'the mirror took over registrations made elsewhere, and the batch waits to be judged on it',

  'settle-before-commit': 'verdicts, records, nodes and mirror are written, and not committed',
  'settle-after-commit': 'the batch is settled, and nobody who waits for a verdict knows',

  'follow-before-commit': 'what blocks tell is written with the cursor, and not committed',
  'follow-after-commit': 'the cursor has moved on, and nobody who waits for a verdict knows',

  'key-aside': "a hosted station's key is on the disk, and not under its name",
  'key-written': "a hosted station's key is there, and the ledger does not know the station",
  'enrol-submitted': 'the station is on the ledger, and not in the mirror',
  'enrol-mirrored': 'the station is in the mirror, and the caller has no answer',
  'revoke-submitted': 'the revocation is on the ledger, and not in the mirror',
  'revoke-mirrored': 'the revocation is in the mirror, and the caller has no answer',
  'device-submitted': 'the device is on the ledger, and not in the mirror',
  'device-mirrored': 'the device is in the mirror, and the caller has no answer',

  'stop-before-save': "the ledger's answer is found to differ, and the log is not stopped yet",
} as const;

/** The same for what is published on the chain, which a service without a chain never comes to. */
export const ANCHOR_FAILPOINTS = {
  'anchor-viewed': 'a view of the logs is taken, and not kept',
  'anchor-before-commit': 'the view is written as an anchor, and not committed',
  'anchor-after-commit': 'the anchor is kept, and nobody was told its number',
  'anchor-signed': "the anchor's transaction is signed, and not stored",
  'anchor-attempt-saved': "the anchor's transaction is stored, and not sent",
  'anchor-sent': "the anchor's transaction is sent, and the answer is not read",
  'anchor-found': 'the anchor is found in a block, and the evidence is not stored',
  'anchor-included': 'the evidence of the block is stored, and nothing was told',
  'anchor-lost': 'it is stored that the chain has lost the block, and nothing is sent anew',
  'anchor-finished': 'it is stored that the block is final',
} as const;

export type Failpoint = keyof typeof FAILPOINTS | keyof typeof ANCHOR_FAILPOINTS;

/**
 * What a process is to do at its failpoints: with YAOJI_FAILPOINT=name it kills itself at the first hit of that one, with
 * name@3 at the third, and with name@3:asleep at the third from a SIGUSR2 on; otherwise nothing. Throws for a name that is
 * not listed, and in production.
 */
export function failpointsOf(
  { YAOJI_FAILPOINT, NODE_ENV }: NodeJS.ProcessEnv,
  die = (): unknown => process.kill(process.pid, 'SIGKILL'),
): (name: Failpoint) => void {
  if (!YAOJI_FAILPOINT) return () => {};
  if (NODE_ENV === 'production')
    throw new Error('YAOJI_FAILPOINT is set: production does not kill itself on purpose');
  const [, armed = '', hits = '1', asleep] =
    /^([a-z-]+)(?:@([1-9][0-9]{0,5}))?(:asleep)?$/.exec(YAOJI_FAILPOINT) ?? [];
  if (!Object.hasOwn({ ...FAILPOINTS, ...ANCHOR_FAILPOINTS }, armed))
    throw new Error(`YAOJI_FAILPOINT: there is no ${YAOJI_FAILPOINT}`);
  let left = asleep ? Infinity : Number(hits);
  if (asleep) process.once('SIGUSR2', () => (left = Number(hits)));
  return (name) => {
    // Nothing may be put in order first: no handler, no answer, no closing of connections.
    if (name === armed && --left === 0) die();
  };
}

/** Marks a place between two durable effects. */
export const failpoint = failpointsOf(process.env);
