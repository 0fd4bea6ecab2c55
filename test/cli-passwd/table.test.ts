// The same command lines for mosquitto_passwd (2.0, Debian) and for `martlet passwd`: exit status, texts and what the
// file says afterwards.
import { describe, expect, test } from 'bun:test';
import { Folder, type Run, runOurs, runTheirs } from './passwd-runs.ts';

interface Row {
  /** FOLDER stands for the folder of the run. */
  readonly commands: readonly (readonly string[])[];
  readonly files?: Readonly<Record<string, string>>;
  readonly input?: string;
}

interface Outcome {
  readonly runs: readonly Run[];
  /** Of the file `f`. */
  readonly users: readonly string[] | null;
  readonly text: string | null;
}

const passwords = ['p', 'p2', 'a', '', 'pä', 'y', 'w'];

async function outcomes({ commands, files = {}, input = '' }: Row): Promise<[theirs: Outcome, ours: Outcome]> {
  const play = async (run: typeof runTheirs): Promise<Outcome> => {
    const folder = await Folder.make(files);
    try {
      const runs: Run[] = [];
      for (const args of commands) {
        const { status, stdout, stderr } = await run(
          args.map((argument) => argument.replace('FOLDER', folder.path)),
          input,
        );
        const plain = (text: string) => text.replaceAll(folder.path, 'FOLDER');
        runs.push({ status, stdout: plain(stdout), stderr: plain(stderr) });
      }
      const text = await folder.read('f').catch(() => null);
      return { runs, users: await folder.users('f', passwords), text };
    } finally {
      await folder.remove();
    }
  };
  return [await play(runTheirs), await play(runOurs)];
}

/** 2.1 says what it did, 2.0 does not; and it ends the line of the last prompt in one more case. */
function withoutReport({ status, stdout, stderr }: Run): Run {
  return { status, stdout: stdout.replace(/^(Adding|Updating) password for user .*\n/gm, '').trimEnd(), stderr };
}

const f = 'FOLDER/f';

describe('the same as mosquitto_passwd', () => {
  test.each<[string, Row]>([
    ['create', { commands: [['-c', '-b', f, 'u', 'p']] }],
    [
      'create in place of what is there',
      {
        commands: [
          ['-c', '-b', f, 'u', 'p'],
          ['-b', '-c', f, 'v', 'p2'],
        ],
      },
    ],
    ['words too many after -c', { commands: [['-c', '-b', f, 'u', 'p', 'more']] }],
    [
      'add',
      {
        commands: [
          ['-c', '-b', f, 'u', 'p'],
          ['-b', f, 'v', 'p2'],
        ],
      },
    ],
    [
      'change',
      {
        commands: [
          ['-c', '-b', f, 'u', 'p'],
          ['-b', f, 'v', 'p'],
          ['-b', f, 'u', 'p2'],
        ],
      },
    ],
    ['add to an empty file', { files: { f: '' }, commands: [['-b', f, 'u', 'p']] }],
    [
      'letters of all kinds',
      {
        commands: [
          ['-c', '-b', f, 'ü ser', 'pä'],
          ['-b', f, '\u{1f426}', 'p'],
        ],
      },
    ],
    ['sha512', { commands: [['-H', 'sha512', '-c', '-b', f, 'u', 'p']] }],
    ['sha512-pbkdf2', { commands: [['-H', 'sha512-pbkdf2', '-c', '-b', f, 'u', 'p']] }],
    [
      'iterations',
      {
        commands: [
          ['-I', '5', '-c', '-b', f, 'u', 'p'],
          ['-b', '-I', '7x', f, 'v', 'p2'],
        ],
      },
    ],
    [
      'delete',
      {
        commands: [
          ['-c', '-b', f, 'u', 'p'],
          ['-b', f, 'v', 'p2'],
          ['-D', f, 'u'],
        ],
      },
    ],
    [
      'delete the last',
      {
        commands: [
          ['-c', '-b', f, 'u', 'p'],
          ['-D', f, 'u'],
        ],
      },
    ],
    [
      'delete one that has two lines',
      {
        files: { f: 'u:1\nv:2\nu:3\n' },
        commands: [
          ['-D', f, 'u'],
          ['-b', f, 'v', 'p'],
        ],
      },
    ],
    [
      'delete nobody',
      {
        commands: [
          ['-c', '-b', f, 'u', 'p'],
          ['-D', f, 'x'],
        ],
      },
    ],
    ['delete from an empty file', { files: { f: '' }, commands: [['-D', f, 'x']] }],
    ['hash plain passwords', { files: { f: 'x:y\nz: w \n' }, commands: [['-U', f]] }],
    ['hash a file with a line that is none', { files: { f: 'x:y\nbad\n' }, commands: [['-U', f]] }],
    ['hash a file with an empty name', { files: { f: ' :y\n' }, commands: [['-U', f]] }],
    ['hash a file with an empty password', { files: { f: 'x:\n' }, commands: [['-U', f]] }],
    [
      'a file that is not there',
      {
        commands: [
          ['-b', f, 'u', 'p'],
          ['-D', f, 'u'],
          ['-U', f],
        ],
      },
    ],
    [
      'a folder',
      {
        commands: [
          ['-b', 'FOLDER', 'u', 'p'],
          ['-c', '-b', 'FOLDER', 'u', 'p'],
        ],
      },
    ],
    [
      'a folder that is not there',
      {
        commands: [
          ['-c', '-b', 'FOLDER/x/f', 'u', 'p'],
          ['-b', 'FOLDER/x/f', 'u', 'p'],
        ],
      },
    ],
    [
      'a file as a folder',
      {
        files: { f: '' },
        commands: [
          ['-b', `${f}/x`, 'u', 'p'],
          ['-c', '-b', `${f}/x`, 'u', 'p'],
        ],
      },
    ],
    ['missing values', { commands: [['-H'], ['-I'], ['-c'], ['-c', '-b'], ['-c', f], ['-D'], ['-D', f], ['-U']] }],
    [
      'values that are wrong',
      {
        commands: [
          ['-H', 'nohash'],
          ['-I', '0'],
          ['-I', '-1'],
          ['-I', 'x'],
        ],
      },
    ],
    [
      'options that exclude each other',
      {
        commands: [
          ['-c', '-D'],
          ['-c', '-U'],
          ['-U', '-D'],
          ['-b', '-D'],
        ],
      },
    ],
    ['more than a file for -U', { commands: [['-U', f, 'u']] }],
    [
      'names that are refused',
      {
        commands: [
          ['-c', '-b', f, 'a:b', 'p'],
          ['-D', f, 'a\nb'],
          ['-b', f, 'x'.repeat(65_536), 'p'],
        ],
      },
    ],
    ['a password that is too long', { files: { f: '' }, commands: [['-b', f, 'u', 'x'.repeat(65_536)]] }],
    [
      'a password that is asked for',
      {
        files: { f: '' },
        commands: [
          [f, 'u'],
          ['-c', f, 'v'],
        ],
        input: 'a\na\n',
      },
    ],
    ['with carriage returns', { files: { f: '' }, commands: [[f, 'u']], input: 'a\r\na\r\n' }],
    ['without a line feed at the end', { files: { f: '' }, commands: [[f, 'u']], input: 'a\na' }],
    [
      'typed differently',
      {
        files: { f: '' },
        commands: [
          [f, 'u'],
          ['-c', 'FOLDER/g', 'u'],
        ],
        input: 'a\nb\n',
      },
    ],
    [
      'left empty',
      {
        files: { f: '' },
        commands: [
          [f, 'u'],
          ['-c', 'FOLDER/g', 'u'],
        ],
        input: '\n\n',
      },
    ],
    ['typed once', { files: { f: '' }, commands: [[f, 'u']], input: 'a\n' }],
    ['not given at all', { files: { f: '' }, commands: [[f, 'u']] }],
    ['asked for a file that is not there', { commands: [[f, 'u']], input: 'a\na\n' }],
  ])('%s', async (_, row) => {
    const [theirs, ours] = await outcomes(row);
    expect(ours.runs.map(withoutReport)).toEqual(theirs.runs.map(withoutReport));
    expect(ours.users).toEqual(theirs.users);
  });

  test.each([
    [[]],
    [['-h']],
    [['--help']],
    [['-x', f, 'u']],
    [['-bc', f, 'u', 'p']],
    [[f]],
    [[f, 'u', 'p']],
    [['-b', f, 'u']],
    [['-b', f, 'u', 'p', 'x']],
  ])('shows the usage and fails: %j', async (args) => {
    const [theirs, ours] = await outcomes({ commands: [args], files: { f: '' } });
    for (const { runs, text } of [theirs, ours]) {
      expect(runs[0]!.status).toBe(1);
      expect(runs[0]!.stdout).toContain('Usage: ');
      expect(text).toBe('');
    }
  });
});

describe('meant to differ from mosquitto_passwd 2.0', () => {
  test('tells what it did, as 2.1', async () => {
    const row = {
      commands: [
        ['-c', '-b', f, 'u', 'p'],
        ['-b', f, 'v', 'p'],
        ['-b', f, 'u', 'p'],
        ['-D', f, 'u'],
      ],
    };
    const [theirs, ours] = await outcomes(row);
    expect(theirs.runs.map(({ stdout }) => stdout)).toEqual(['', '', '', '']);
    expect(ours.runs.map(({ stdout }) => stdout)).toEqual([
      'Adding password for user u\n',
      'Adding password for user v\n',
      'Updating password for user u\n',
      '',
    ]);
  });

  test('the file - is standard output, as in 2.1', async () => {
    const run = await runOurs(['-c', '-b', '-', 'u', 'p']);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toMatch(/^u:\$7\$1000\$[^\n]+\n$/);
    const asked = await runOurs(['-c', '-', 'u'], 'a\na\n');
    expect(asked).toMatchObject({ status: 0, stderr: 'Password: \nReenter password: \n' });
    expect(asked.stdout).toMatch(/^u:\$7\$1000\$[^\n]+\n$/);
  });

  test('argon2id, as in 2.1', async () => {
    const [theirs, ours] = await outcomes({ commands: [['-H', 'argon2id', '-c', '-b', f, 'u', 'p']] });
    expect(theirs.runs[0]).toEqual({ status: 1, stdout: '', stderr: "Error: Unknown hash type 'argon2id'\n" });
    expect(ours.users).toEqual(['u:p']);
    expect(ours.text).toStartWith('u:$argon2id$v=19$m=47104,t=1,p=1$');
  });

  test('a corrupt file is left alone: 2.0 drops all lines from the corrupt one on, with success', async () => {
    const files = { f: 'x:y\nbad\nz:w\n' };
    const [theirs, ours] = await outcomes({ files, commands: [['-b', f, 'u', 'p']] });
    expect(theirs.runs[0]).toEqual({ status: 0, stdout: '', stderr: 'Error: Corrupt password file at line 2.\n' });
    expect(theirs.text).not.toContain('z:w');
    expect(ours.runs[0]).toEqual({ status: 1, stdout: '', stderr: 'Error: Corrupt password file at line 2.\n' });
    expect(ours.text).toBe(files.f);
  });

  test('comments and blank lines stay', async () => {
    const [, ours] = await outcomes({
      files: { f: '# ours\n\nx:y\r\n  \nz:w\n' },
      commands: [
        ['-b', f, 'u', 'p'],
        ['-D', f, 'z'],
      ],
    });
    expect(ours.text).toMatch(/^# ours\n\nx:y\r\n {2}\nu:[^\n]+\n$/);
  });

  test('a last line without a line feed is no beginning of the next', async () => {
    const [theirs, ours] = await outcomes({ files: { f: 'x:y' }, commands: [['-b', f, 'u', 'p']] });
    expect(theirs.text).toStartWith('x:yu:');
    expect(ours.text).toStartWith('x:y\nu:$7$');
  });

  test('passwords that are hashed are not hashed again', async () => {
    const row = {
      files: { f: 'x:y\n' },
      commands: [
        ['-U', f],
        ['-U', f],
      ],
    };
    const [theirs, ours] = await outcomes(row);
    expect(theirs.users).toEqual(['x:?']);
    expect(ours.users).toEqual(['x:y']);
    expect(ours.runs[1]).toEqual({
      status: 0,
      stdout: '',
      stderr: 'Warning: The password at line 1 is hashed already.\n',
    });
  });

  test('-U takes the kind of hash and its iterations, and says why it fails on an empty file', async () => {
    const [theirs, ours] = await outcomes({ files: { f: '' }, commands: [['-U', f]] });
    expect(theirs.runs[0]).toEqual({ status: 1, stdout: '', stderr: '' });
    expect(ours.runs[0]).toEqual({ status: 1, stdout: '', stderr: 'Error: There is no user in the password file.\n' });
    const [, hashed] = await outcomes({ files: { f: 'x:y\n' }, commands: [['-I', '9', '-U', f]] });
    expect(hashed.text).toStartWith('x:$7$9$');
  });

  test('an empty password is refused on the command line too: no broker lets anybody in with it', async () => {
    const [theirs, ours] = await outcomes({ files: { f: '' }, commands: [['-b', f, 'u', '']] });
    expect(theirs).toMatchObject({ runs: [{ status: 0 }], users: ['u:'] });
    expect(ours).toMatchObject({ runs: [{ status: 1, stdout: '', stderr: 'Error: Empty password.\n' }], text: '' });
  });

  test.each([
    ['', 'Error: Username must not be empty.\n'],
    ['#u', "Error: Username must not begin with '#'.\n"],
    [' u', 'Error: Username must not begin or end with a blank.\n'],
    ['u ', 'Error: Username must not begin or end with a blank.\n'],
  ])('a name that a broker would not find in the file is refused: %j', async (name, stderr) => {
    const [theirs, ours] = await outcomes({ commands: [['-c', '-b', f, name, 'p']] });
    expect(theirs.runs[0]!.status).toBe(0);
    expect(theirs.users).not.toEqual([`${name}:p`]);
    expect(ours.runs[0]).toEqual({ status: 1, stdout: '', stderr });
    expect(ours.text).toBeNull();
  });
});
