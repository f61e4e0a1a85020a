import { TraceError } from '@yaoji/chaincode/core/error';

/** The refusal that `run` ends in; undefined when there is none. Any other error is the reader's bug: it is passed on. */
export async function refusal(run: () => unknown): Promise<TraceError | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof TraceError) return error;
    throw error;
  }
}

/** The code of that refusal. */
export async function code(run: () => unknown): Promise<string | undefined> {
  return (await refusal(run))?.code;
}
