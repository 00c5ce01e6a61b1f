// A compromised coordinator: whatever it decides, nothing is done that is not allowed.
import { describe, expect, it } from 'vitest';
import { besiege } from '../support/compromised.ts';

describe('a coordinator that decides whatever a schema lets through', () => {
  it('has no machine do anything that its witnesses and itself do not allow', async () => {
    let [forged, made] = [0, 0];
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 4; seed++) {
      const siege = await besiege(seed);
      expect(siege.wrong, `seed ${seed}`).toEqual([]);
      forged += siege.forged;
      made += siege.made;
      for (const kind of siege.kinds) kinds.add(kind);
    }
    // It was heard, and what is allowed was done all the same.
    expect([forged > 500, kinds.size > 8, made > 0]).toEqual([true, true, true]);
  });
});
