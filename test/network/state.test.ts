import { State } from '@yaoji/network/local/state';
import { expect } from 'chai';

describe('The world state', () => {
  it('goes on showing what stood at a held height', () => {
    const state = new State();
    state.apply({ block: 1, tx: 0 }, [{ key: 'key', value: value('one') }]);
    const release = state.hold(2);
    state.apply({ block: 2, tx: 0 }, [{ key: 'key', value: value('two') }]);
    state.apply({ block: 3, tx: 0 }, [{ key: 'key', value: undefined }]);
    expect([at(state, 2), at(state, 4)]).to.deep.equal(['one', undefined]);
    release();
  });

  it('shows each of two held heights its own', () => {
    const state = new State();
    const first = state.hold(1);
    state.apply({ block: 1, tx: 0 }, [{ key: 'key', value: value('one') }]);
    const second = state.hold(2);
    state.apply({ block: 2, tx: 0 }, [{ key: 'key', value: value('two') }]);
    first();
    state.apply({ block: 3, tx: 0 }, [{ key: 'key', value: value('three') }]);
    expect([at(state, 2), at(state, 4)]).to.deep.equal(['one', 'three']);
    second();
  });

  it('takes the last write of a block', () => {
    const state = new State();
    const release = state.hold(1);
    state.apply({ block: 1, tx: 0 }, [{ key: 'key', value: value('one') }]);
    state.apply({ block: 1, tx: 3 }, [{ key: 'key', value: value('two') }]);
    expect(state.get('key', 2)?.version).to.deep.equal({ block: 1, tx: 3 });
    expect(at(state, 1)).to.equal(undefined);
    release();
  });
});

function value(text: string): Uint8Array {
  return Buffer.from(text);
}

function at(state: State, height: number): string | undefined {
  const entry = state.get('key', height);
  return entry?.value && Buffer.from(entry.value).toString();
}
