// The codec of everything that is sent, stored or signed, counted: work.ts has it loaded in place of `cborg`.
import * as real from 'cborg';

export const codec = { encodes: 0, decodes: 0 };

export const encode: typeof real.encode = (...given) => {
  codec.encodes++;
  return real.encode(...given);
};

export const decode: typeof real.decode = (...given) => {
  codec.decodes++;
  return real.decode(...given);
};
