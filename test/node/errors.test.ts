// What edges say of an error: its code, the system's reason in plain words, what to do, and the name that was probably meant.
import { describe, expect, it } from 'vitest';
import { closest, continued, KalosError, notFound, reasonOf, remedyFor, unknownName } from '../../node/errors.ts';

describe('a reason', () => {
  it.each<[unknown, string]>([
    [new Error("ENOSPC: no space left on device, mkdir '/x'"), 'No space left on device'],
    [new Error('EIO: i/o error, write'), 'Input/output error'],
    [new Error('ENFILE: file table overflow, open'), 'Too many open files in system'],
    [new Error('E2BIG: argument list too long'), 'Argument list too long'],
    [new Error('first line\nsecond'), 'First line'],
    [new Error('said: ENOSPC: no space'), 'Said: ENOSPC: no space'],
    ['a text', 'A text'],
    [new Error(''), ''],
    [undefined, 'Undefined'],
  ])('of %o is "%s"', (error, words) => {
    expect(reasonOf(error)).toBe(words);
  });
});

describe('what to do', () => {
  it.each([
    ['No space left on device', 'free space there (df /s; df -i /s)'],
    ['Disk quota exceeded', 'free space there (df /s; df -i /s)'],
    ['Too many open files', 'raise the limit of open files (ulimit -n; at least 256)'],
    ['Permission denied', `give this user access (chown -R ${process.getuid?.()} /s; chmod -R u+rwX /s)`],
    ['Operation not permitted', `give this user access (chown -R ${process.getuid?.()} /s; chmod -R u+rwX /s)`],
    ['Read-only file system', 'see dmesg for why the file system is read-only, and remount it writable'],
    ['Input/output error', 'the disk is failing: see dmesg and smartctl -a, back it up and replace it'],
    ['Whatever', 'repair the disk'],
  ])('where the disk says "%s" is: %s', (refusal, remedy) => {
    expect(remedyFor(refusal, '/s')).toBe(remedy);
  });

  it('names DIR where no path is known', () => {
    expect(remedyFor('No space left')).toBe('free space there (df DIR; df -i DIR)');
  });
});

describe('a name that is not known', () => {
  it.each<[string, string[], string | undefined]>([
    ['ada', ['ada'], 'ada'],
    ['aad', ['bob', 'ada'], 'ada'], // two edits: one letter for another, twice
    ['abc', ['xyc', 'abd'], 'abd'], // the closest, not the first
    ['abcd', ['wxyd'], undefined],
    ['web', ['webser'], undefined],
    ['web', ['webse'], 'webse'],
    ['service', ['srvice'], 'srvice'],
    ['', ['ab', 'abc'], 'ab'],
    ['', ['abc'], undefined],
    ['x', [], undefined],
    ['ab', ['ba'], 'ba'],
    ['kitten', ['sitting'], undefined], // three edits, as in every textbook
    ['saturday', ['sunday'], undefined],
    ['flaw', ['lawn'], 'lawn'],
  ])('%s among %o is probably %s', (word, known, meant) => {
    expect(closest(word, known)).toBe(meant);
  });

  it('is said with what was meant, and where the names are', () => {
    expect([
      unknownName('member', 'aba', ['ada'], 'kalos members'),
      unknownName('member', 'zed', ['ada'], 'kalos members'),
      unknownName('member', '', [], 'kalos members'),
    ]).toEqual([
      'no member is called aba; did you mean ada? see: kalos members',
      'no member is called zed; see: kalos members',
      'no member is called ""; see: kalos members',
    ]);
    const error = notFound('member', 'aba', ['ada'], 'kalos members');
    expect([error instanceof KalosError, error.code, error.message, error.hint]).toEqual([
      true,
      'not-found',
      'no member is called aba; did you mean ada?',
      'see: kalos members',
    ]);
    expect(new KalosError('io', 'm').hint).toBe('');
  });

  it('goes on after what is a whole sentence without a semicolon', () => {
    expect(['a', 'a?', 'a.', 'a.b'].map((text) => continued(text, 'b'))).toEqual(['a; b', 'a? b', 'a. b', 'a.b; b']);
  });
});
