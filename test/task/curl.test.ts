import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CodedError } from '../../src/lib/errors.ts';
import { importCurl, MAX_COMMAND_BYTES, type CurlImport } from '../../src/task/curl/index.ts';
import { optionOfLetter, optionsOfName } from '../../src/task/curl/options.ts';
import { bodyOf } from '../support/curl-wire.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'gostress-curl-'));
  writeFileSync(path.join(folder, 'a.txt'), 'a');
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(command: string): CurlImport {
  return importCurl(command, { baseDir: folder });
}

function problemsOf(command: string): readonly string[] {
  try {
    read(command);
  } catch (error) {
    if (error instanceof CodedError && error.code === 'INVALID_INPUT') return error.problems;
    throw error;
  }
  throw new Error(`expected problems of ${command.slice(0, 100)}`);
}

describe('an imported command', () => {
  it('is a request with the headers of curl', () => {
    expect(read('$ curl example.com/path')).toEqual({
      request: {
        method: 'GET',
        url: 'http://example.com/path',
        headers: [
          { name: 'User-Agent', value: expect.stringMatching(/^curl\/8\./) as string },
          { name: 'Accept', value: '*/*' },
        ],
        body: null,
      },
      redirects: null,
      tls: {},
      timeouts: {},
      connections: {},
      warnings: [],
    });
  });

  it('follows redirects with -L, 50 of them unless --max-redirs says another number', () => {
    expect(read('curl -L x').redirects).toEqual({ follow: true, max: 50 });
    expect(read('curl --max-redirs 0 -sL x').redirects).toEqual({ follow: true, max: 0 });
    expect(read('curl --max-redirs 7 x').redirects).toBeNull();
    expect(read('curl -L --no-location x').redirects).toBeNull();
  });

  it('has the TLS settings of the command, files beside it', () => {
    const file = (name: string): string => path.join(folder, name);
    expect(read('curl -k https://x').tls).toEqual({ verify: false });
    expect(read('curl -k --no-insecure https://x').tls).toEqual({});
    expect(read('curl --cacert ca.pem -E c.pem --key k.pem --cert-type pem https://x').tls).toEqual({
      caFile: file('ca.pem'),
      certFile: file('c.pem'),
      keyFile: file('k.pem'),
    });
    expect(read(String.raw`curl --cert 'dir/a\:b.pem' https://x`).tls).toEqual({
      certFile: file('dir/a:b.pem'),
      keyFile: file('dir/a:b.pem'),
    });
  });

  it('has the time limits of the command in milliseconds; 0 is none', () => {
    expect(read('curl -m 1.5 --connect-timeout .25 x').timeouts).toEqual({ connectMs: 250, totalMs: 1500 });
    expect(read('curl --max-time 2e1 x').timeouts).toEqual({ totalMs: 20_000 });
    expect(read('curl -m 0 x').timeouts).toEqual({});
  });

  it('uses a new connection for each hit after "Connection: close"', () => {
    expect(read(`curl -H 'Connection: close' x`).connections).toEqual({ reuse: false });
    expect(read(`curl -H 'Connection: keep-alive' x`).connections).toEqual({});
  });

  it('has its body as text when it is UTF-8, and else as base64', () => {
    expect(read(`curl -d 'é\u{1f600}' x`).request.body).toEqual({ kind: 'text', text: 'é\u{1f600}' });
    expect(read(`curl -d $'\\xef\\xbb\\xbfx' x`).request.body).toEqual({ kind: 'text', text: '\ufeffx' });
    expect(read(`curl -d $'\\xff' x`).request.body).toEqual({ kind: 'base64', base64: '/w==' });
    expect(read(`curl -d '' x`).request.body).toEqual({ kind: 'text', text: '' });
    expect(read('curl -X POST x').request.body).toBeNull();
  });

  it('has a new boundary in each import of a form', () => {
    const [first, second] = [read('curl -F a=b x'), read('curl -F a=b x')];
    expect(bodyOf(first.request.body)).not.toBe(bodyOf(second.request.body));
  });

  it('keeps the URL as curl sends it, with the host in lower case', () => {
    expect(read('curl -g "HTTPS://EXAMPLE.com:8443/A/../b?q={a}|b#f"').request.url).toBe(
      'https://example.com:8443/b?q={a}|b',
    );
    expect(read('curl http://[::1]:80/').request.url).toBe('http://[::1]:80/');
    expect(read('curl http://bücher.example:/').request.url).toBe('http://xn--bcher-kva.example/');
  });

  it('may be what Chrome copies for cmd.exe', () => {
    const { request } = read(`curl ^"http://h/?a=1^&b=^%^20x^" ^
  -X ^"PUT^" ^
  -H ^"content-type: application/json^" ^
  -b ^"sid=1; t=2^" ^
  --data-raw ^"^{^\\^"a^\\^":^\\^"b^|c^\\^"^}^" ^
  --insecure`);
    expect(request).toMatchObject({ method: 'PUT', url: 'http://h/?a=1&b=%20x' });
    expect(request.headers.slice(2)).toEqual([
      { name: 'Cookie', value: 'sid=1; t=2' },
      { name: 'content-type', value: 'application/json' },
    ]);
    expect(request.body).toEqual({ kind: 'text', text: '{"a":"b|c"}' });
  });

  it('is what the requests after a redirect would have from curl', () => {
    expect(read('curl -L -X POST -d a x').warnings).toEqual([
      '-X with -L: where a redirect leads to a GET (303; of a POST also 301 and 302), curl would go on with POST',
    ]);
    expect(read(`curl -L -e 'y;auto' x`).warnings).toEqual([
      "-e ';auto': after a redirect the Referer is the one given; curl would send the URL before",
    ]);
    expect(read(`curl -L -e ';auto' x`).warnings).toEqual([
      "-e ';auto': after a redirect the Referer is none; curl would send the URL before",
    ]);
    expect(read(`curl -X POST -d a -e 'y;auto' x`).warnings).toEqual([]);
    expect(read('curl -L -X GET x').warnings).toEqual([]);
  });

  it('warns of what it leaves out', () => {
    expect(read('curl --retry 3 -c jar --http2 -H nonsense -sSvif -o f -w x --stderr y x').warnings).toEqual([
      '--retry is left out: a hit is never repeated: a failure is counted',
      '-c is left out: GoStress remembers nothing between hits',
      '--http2 is left out: GoStress speaks HTTP/1.1, and HTTP/2 when the client of the task is http2',
      '-H: curl leaves a header without ":" out',
    ]);
    expect(read(`curl -F 'a=b;oops' x`).warnings).toEqual(['-F: curl leaves "oops" behind the ";" out']);
  });
});

describe('a command that cannot be imported', () => {
  it.each([
    ['', 'expected a command that begins with curl, found nothing'],
    ['wget x', 'expected a command that begins with curl, found "wget"'],
    ['curl', 'expected one URL, found none'],
    ['curl x y', 'expected one URL, found 2'],
    ['curl x --url y', 'expected one URL, found 2'],
    ['curl x --next y', '--next is not supported: a task has one request'],
    ['curl x -: y', '-: is not supported: a task has one request'],
    ['curl -x http://p:1 x', '-x: proxies are not supported: GoStress connects to the target itself'],
    ['curl --proxy-user a:b x', '--proxy-user is not supported: GoStress connects to the target itself'],
    ['curl --resolve a:1:b x', '--resolve is not supported: GoStress connects to the host and port of the URL'],
    ['curl --connect-to a:1:b:2 x', '--connect-to is not supported: GoStress connects to the host and port of the URL'],
    ['curl --unix-socket s x', '--unix-socket is not supported: GoStress connects to the host and port of the URL'],
    ['curl -0 x', '-0 is not supported: GoStress speaks HTTP/1.1, and HTTP/2 when the client of the task is http2'],
    [
      'curl --http2-prior-knowledge x',
      '--http2-prior-knowledge is not supported: GoStress speaks HTTP/1.1, and HTTP/2 when the client of the task is http2',
    ],
    ['curl --digest -u a:b x', /^--digest is not supported: only Basic/],
    ['curl -n x', '-n is not supported: write what it would read into the command'],
    ['curl -K file x', '-K is not supported: write what it would read into the command'],
    ['curl --limit-rate 1k x', '--limit-rate is not supported: GoStress has no such limit'],
    ['curl --location-trusted x', '--location-trusted is not supported: GoStress follows redirects by RFC 9110'],
    ['curl -V', '-V is not supported: curl then sends no request'],
    ['curl -sk@ x', 'expected an option that curl knows, found "-@" in "-sk@"'],
    ['curl --compresed x', 'expected an option that curl knows, found "--compresed"; did you mean --compressed?'],
    ['curl --loc x', /found "--loc", which may be --location, .*--local-port/],
    ['curl --data=x x', '--data: expected its value as the next argument, found "=": curl does not know --name=value'],
    ['curl x -X', '-X: expected a value after it, found nothing'],
    ['curl -X "A B" x', '-X: expected a method like GET or POST, found "A B"'],
    ['curl -u name x', '-u: expected user:password, found no ":" (curl would ask for the password)'],
    ['curl -E cert.pem:secret x', /^-E: expected a file without a password/],
    ['curl --key k.pem x', '--key: expected a certificate (-E) with it, found none'],
    ['curl -b jar.txt x', /^-b: expected cookies like "name=value; other=value", found none: files of cookies/],
    ['curl -d @- x', '-d: expected the path of a file, found "-": the standard input is not read'],
    ['curl -d @none x', '-d: cannot read "none": no such file or folder'],
    ['curl -d @a.txt/ x', '-d: cannot read "a.txt/": no such file or folder'],
    ['curl -H @none x', '-H: cannot read "none": no such file or folder'],
    ['curl -d @. x', '-d: cannot read ".": it is not a regular file'],
    ['curl -d @/dev/zero x', '-d: cannot read "/dev/zero": it is not a regular file'],
    ['curl -T a.txt -T a.txt x', '-T: expected one file, found several'],
    ['curl -I -d a x', 'expected options for one kind of request, found -d and -I'],
    ['curl -G -d a --url-query b x', 'expected -G or --url-query, found both'],
    ['curl -r 0-1 -d a x', '-r: expected a request without a body, found one with it'],
    ['curl -F a=@a.txt,b.txt x', '-F: expected one file, found ",": several files in one field are not supported'],
    ["curl -F 'a=(' x", /^-F: .*nested multipart bodies are not supported$/],
    ["curl -F 'a=b;encoder=base64' x", '-F: ;encoder= is not supported in a form'],
    ["curl -H 'A B: c' x", '-H: expected a header like "Name: value", found the name "A B"'],
    [String.raw`curl -H $'A: b\nC: d' x`, /^-H: expected a header value of one line/],
    ["curl -H 'Host:' x", /^-H: expected a Host/],
    ["curl -H 'Content-Length: 5' -d a x", '-H: expected a Content-Length like that of the body, 1; found another'],
    [
      "curl -H 'Content-Length:' -d a x",
      /^-H: expected a Content-Length like that of the body, 1; found it taken away/,
    ],
    ["curl -H 'Transfer-Encoding: chunked' -d a x", /^header Transfer-Encoding cannot be set/],
    ["curl -H 'Expect: 100-continue' x", /^header Expect cannot be set/],
    ["curl 'x/{a,b}'", /^expected one URL, found "{" in "x\/{a,b}": .*with -g/],
    ["curl 'x/[1-9]'", /^expected one URL, found "\[1-9\]"/],
    ['curl ftp://x/', 'expected an http: or https: URL, found ftp: in "ftp://x/"'],
    ['curl ftp.example.com', /^expected an http: or https: URL, found ftp:/],
    ['curl --max-redirs -1 x', '--max-redirs: expected a whole number from 0 to 1000, found another value'],
    ['curl -m 1h x', /^-m: expected seconds like 10 or 0.5/],
  ])('%s: %s', (command, problem) => {
    const problems = problemsOf(command);
    expect(problems).toHaveLength(1);
    if (typeof problem === 'string') expect(problems[0]).toBe(problem);
    else expect(problems[0]).toMatch(problem);
  });

  it('is told with all of its problems', () => {
    expect(problemsOf('curl --foo -0 -u me -X "A B" -m x http://h')).toEqual([
      'expected an option that curl knows, found "--foo"',
      '-0 is not supported: GoStress speaks HTTP/1.1, and HTTP/2 when the client of the task is http2',
      '-u: expected user:password, found no ":" (curl would ask for the password)',
      '-X: expected a method like GET or POST, found "A B"',
      '-m: expected seconds like 10 or 0.5, at most 2592000, found another value',
    ]);
    expect(problemsOf(`curl -d @none -d @nine -H 'A B: c' -H 'C D: e' 'http://h/{a,b}'`)).toEqual([
      '-H: expected a header like "Name: value", found the name "A B"',
      '-H: expected a header like "Name: value", found the name "C D"',
      expect.stringContaining('expected one URL'),
      '-d: cannot read "none": no such file or folder',
      '-d: cannot read "nine": no such file or folder',
    ]);
  });

  it.each([
    `curl -u canary-7261 http://h`,
    `curl 'http://user:canary-7261@h/a b'`,
    `curl 'http://user:canary-7261@h/{a}'`,
    `curl 'http://user:canary-7261@h:99999/'`,
    `curl 'http://x/ ?token=canary-7261'`,
    String.raw`curl -H $'Authorization: canary-7261\n' -H $'Authorization: canary-7261\x01' http://h`,
    `curl -H 'Authorization; canary-7261' http://h`,
    `curl -H 'Connection: canary-7261' http://h`,
    `curl -b canary-7261 http://h`,
    String.raw`curl --oauth2-bearer $'canary-7261\n1' http://h`,
    `curl -E cert.pem:canary-7261 http://h`,
    `curl --max-time canary-7261 http://h`,
  ])('does not show secrets in its problems: %s', (command) => {
    expect(problemsOf(command).join('\n')).not.toContain('canary-7261');
  });

  it('is one that is larger than 1 MiB', () => {
    const longest = `curl x -d '${'a'.repeat(MAX_COMMAND_BYTES - 12)}`;
    expect(read(`${longest}'`).request.body).toMatchObject({ kind: 'text' });
    expect(problemsOf(`${longest}a'`)).toEqual(['curl command: expected at most 1048576 bytes, found 1048577']);
  });

  it('is one whose files have more than 64 MiB together', () => {
    const file = path.join(folder, 'large');
    writeFileSync(file, '');
    truncateSync(file, 32 * 1024 * 1024 + 1);
    expect(problemsOf('curl --data-binary @large --data-binary @large x')).toEqual([
      '--data-binary: cannot read "large": expected at most 67108864 bytes in all files together',
    ]);
  });

  it('is one with NUL bytes in the text file of -d, of which versions of curl make different things', () => {
    writeFileSync(path.join(folder, 'nul'), 'a\0b');
    expect(problemsOf('curl -d @nul x')).toEqual([expect.stringMatching(/^-d: expected a text file, found NUL bytes/)]);
  });
});

it('knows the options of the installed curl, and which of them have a value', () => {
  const help = execFileSync('curl', ['--help', 'all'], { encoding: 'utf8' });
  const lines = [...help.matchAll(/^ +(?:-(.), )?--(?:no-)?(\S+)( [<[])?/gm)];
  expect(lines.length).toBeGreaterThan(200);
  const wrong = lines.filter(([, letter, name, value]) => {
    // Of a newer curl there may be more: what is not known is refused, by name.
    const options = optionsOfName(name!).filter((option) => option.name === name);
    if (options.length === 0) return false;
    const isWrongLetter = letter !== undefined && optionOfLetter(letter) !== options[0];
    return isWrongLetter || options[0]!.takesValue !== (value !== undefined);
  });
  expect(wrong.map(([line]) => line)).toEqual([]);
});
