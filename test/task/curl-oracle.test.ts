import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CodedError } from '../../src/lib/errors.ts';
import { importCurl, type CurlImport } from '../../src/task/curl/index.ts';
import { CaptureServer } from '../support/capture-server.ts';
import { makeCertificates } from '../support/certificates.ts';
import { exchangeImport, runBash, sendImport, wireOf, type Wire } from '../support/curl-wire.ts';
import { startTlsServer } from '../support/tls-server.ts';

/** `HOST` stands for the capture server's address. */
const ACCEPTED: Record<string, string[]> = {
  'the URL': [
    String.raw`curl HOST`,
    String.raw`curl http://HOST`,
    String.raw`curl HTTP://HOST/a/../b/./c?x=1#frag`,
    String.raw`curl http:/HOST/one-slash`,
    String.raw`curl http:///HOST/three`,
    String.raw`curl HOST?x=1/../a`,
    String.raw`curl 'http://HOST/a/../../b/..c/.d/...'`,
    String.raw`curl 'http://HOST/a/b/..'`,
    String.raw`curl 'http://HOST/a/.b/./.'`,
    String.raw`curl --path-as-is 'http://HOST/a/./b/../../c/..'`,
    String.raw`curl 'http://HOST/a/%2e%2e/b/%2E/%zz%'`,
    String.raw`curl 'http://HOST/a//b///?'`,
    String.raw`curl 'http://HOST/;p?a?b?c=/x'`,
    String.raw`curl 'http://HOST/"<>|^?q="<>|^'`,
    String.raw`curl 'http://HOST/é'`,
    String.raw`curl 'http://HOST/a[]=1?b[]=2'`,
    String.raw`curl 'http://HOST/[::1]'`,
    String.raw`curl 'http://HOST/\[\]\{\}'`,
    String.raw`curl -g 'http://HOST/[1-2]{a,b}'`,
    String.raw`curl --globoff 'http://HOST/{a}]'`,
    String.raw`curl http://127.1:PORT/short`,
    String.raw`curl http://localhost:PORT/name`,
    String.raw`curl --url HOST/named`,
    String.raw`curl HOST/http://x`,
    String.raw`curl -- HOST`,
  ],
  'the method': [
    String.raw`curl -I HOST`,
    String.raw`curl --head HOST/x`,
    String.raw`curl -XPOST HOST`,
    String.raw`curl -X DELETE HOST`,
    String.raw`curl -X GET -I HOST`,
    String.raw`curl HOST -X PATCH`,
    String.raw`curl -sS#LkvX PATCH HOST`,
    String.raw`curl -sXPUT -da=1 HOST`,
    String.raw`curl --request m-search HOST`,
  ],
  data: [
    String.raw`curl -d a=1 -d 'b=2&c=3' HOST`,
    String.raw`curl --data a --data-raw @b --data-ascii c HOST`,
    String.raw`curl -d '' HOST`,
    String.raw`curl -d '' -d a HOST`,
    String.raw`curl -d@text.txt HOST`,
    String.raw`curl -d @text.txt --data-binary @text.txt --data-binary @bytes.bin HOST`,
    String.raw`curl --data-binary @empty HOST`,
    String.raw`curl --data-binary @'with space.png' HOST`,
    String.raw`curl --data-urlencode 'a b&é' --data-urlencode '=x y=z' --data-urlencode 'n=x y~-._*!()' HOST`,
    String.raw`curl --data-urlencode @bytes.bin --data-urlencode 'name@text.txt' --data-urlencode 'c@text.txt=d' HOST`,
    String.raw`curl --data-urlencode '' --data-urlencode '=' HOST`,
    String.raw`curl -d a=1 -H 'Content-Type: text/plain' -H 'X-After: 1' HOST`,
    String.raw`curl -d a=1 -H 'content-type:' HOST`,
    String.raw`curl -d a=1 -H 'Content-Type;' HOST`,
    String.raw`curl -d abc -H 'Content-Length: 3' -H 'X: y' HOST`,
    String.raw`curl --data-raw $'\xff\xfe\x01' HOST`,
    String.raw`curl -d x -X PUT HOST`,
    String.raw`curl --json '{"a":1}' --json '{}' HOST`,
    String.raw`curl --json @text.txt HOST`,
    String.raw`curl --json '{"a":1}' -d b=c HOST`,
    String.raw`curl -d b=c --json '{"a":1}' HOST`,
    String.raw`curl --json '{}' -H 'accept: x' -H 'A: b' HOST`,
    String.raw`curl --json '{}' -H 'Content-Type:' -H 'Accept;' HOST`,
    String.raw`curl -d 1 --no-get HOST`,
  ],
  'data in the URL': [
    String.raw`curl -G -d x=1 -d y=2 HOST`,
    String.raw`curl -G -d x=1 'HOST/p?a=1#frag'`,
    String.raw`curl -G -d x=1 'HOST/p?'`,
    String.raw`curl -G -d x 'HOST/p?a&'`,
    String.raw`curl -G -d '' 'HOST/p?a=1'`,
    String.raw`curl -G -d '' 'HOST/p'`,
    String.raw`curl -G -d '' 'HOST/p?'`,
    String.raw`curl -G --data-urlencode 'é &' -d 'x=%2F%C3' 'HOST/%2F?y=%2F'`,
    String.raw`curl -G -d 'a[]={1}' HOST`,
    String.raw`curl -G -d 'a=#b' -d c HOST`,
    String.raw`curl -G -d '#b' HOST/p`,
    String.raw`curl -G HOST/p`,
    String.raw`curl -GI -d x=1 'HOST/p?a=1'`,
    String.raw`curl -G --json '{"a":1}' HOST`,
    String.raw`curl -G -X POST -d a=1 HOST`,
    String.raw`curl --url-query 'x=1 2' --url-query '+ab=%2F' --url-query 'foo+bar' 'HOST/p?a=1'`,
    String.raw`curl --url-query 'n@text.txt' -d body HOST`,
  ],
  headers: [
    String.raw`curl -H 'X-One: 1' -H 'x-two:2' -H 'X-One: again' HOST`,
    String.raw`curl -H 'X;' -H 'Y:' -H 'Z: ' -H 'T:   spaces  ' HOST`,
    String.raw`curl -H 'accept:' -H 'user-agent: lower' HOST`,
    String.raw`curl -H 'Accept:' -H 'Accept: x' -H 'ACCEPT: y' HOST`,
    String.raw`curl -H 'User-Agent;' HOST`,
    String.raw`curl -H 'Accept; ' -H 'X; ' HOST`,
    String.raw`curl -H 'Host: a.example' -H 'X: 1' -H 'host: b' HOST`,
    String.raw`curl -H @headers.txt -H 'Last: 1' HOST`,
    String.raw`curl -H 'A: é' -H $'B: \xff' -H $'C: a\tb' HOST`,
    String.raw`curl -H 'X-A: "quoted" \ back: and; more' HOST`,
    String.raw`curl -H 'Connection: close' -H 'A: b' HOST`,
    String.raw`curl -H 'Connection: keep-alive' -H 'A: b' HOST`,
    String.raw`curl -A me HOST`,
    String.raw`curl -A '' HOST`,
    String.raw`curl -A x -H 'User-Agent: b' HOST`,
    String.raw`curl -e 'http://r/;auto' HOST`,
    String.raw`curl --referer a -H 'Referer: b' HOST`,
    String.raw`curl -e ';auto' HOST`,
    String.raw`curl --compressed HOST`,
    String.raw`curl --compressed -H 'Accept-Encoding: gzip' HOST`,
    String.raw`curl --compressed --no-compressed HOST`,
    String.raw`curl -r 0-5,7-9 HOST`,
    String.raw`curl -r 5 -X POST HOST`,
    String.raw`curl -r 0-1 -H 'Range: bytes=5-6' HOST`,
    String.raw`curl -e r -A me --compressed -r 0-5 -u a:b -b c=d -H 'X: 1' -I HOST`,
    String.raw`curl -d body -e r -A me --compressed -u a:b -b c=d -H 'X: 1' HOST`,
  ],
  'cookies and credentials': [
    String.raw`curl -b a=1 -b 'b=2; c=3' HOST`,
    String.raw`curl -b a=1 -H 'Cookie: z=1' HOST`,
    String.raw`curl -b a=1 -H 'Cookie:' HOST`,
    String.raw`curl -b '' HOST`,
    String.raw`curl -u user:pass HOST`,
    String.raw`curl -u 'é:a:b' HOST`,
    String.raw`curl -u : HOST`,
    String.raw`curl -u a:b -u c:d HOST`,
    String.raw`curl 'http://u:p%40%3a@HOST/'`,
    String.raw`curl 'http://u@HOST/'`,
    String.raw`curl 'u:p@HOST/'`,
    String.raw`curl 'http://:p@HOST/'`,
    String.raw`curl -u a:b 'http://u:p@HOST/'`,
    String.raw`curl --basic -u a:b HOST`,
    String.raw`curl -u a:b -H 'Authorization: X y' HOST`,
    String.raw`curl -u a:b -H 'Authorization:' HOST`,
    String.raw`curl --oauth2-bearer tok -u a:b HOST`,
  ],
  forms: [
    String.raw`curl -F a=b -F 'f=@text.txt' -F 'p=@with space.png' -F 'n=@bytes.bin' HOST`,
    String.raw`curl -F 't=x;type=text/plain' -F 'j={"a":1};type=application/json' HOST`,
    String.raw`curl -F 'f=@text.txt;type=text/x;filename=o"x.bin' -F 'q=@"with space.png";filename="a;b\"c.txt"' HOST`,
    String.raw`curl -F 'c=<text.txt' -F 'd=<text.txt;type=text/html' -F 'e=<with space.png' HOST`,
    String.raw`curl --form-string 'a=@x;type=y' -F ' a =  b ; c=d' -F 'x=y;filename=a.html' -F 'é=ü' HOST`,
    String.raw`curl -F 'a="q;uo\"ted"x;type=text/y' -F 'b="x\q\\y"' -F 'c=x"y"z' -F 'd= "lead"' -F 'e="open' HOST`,
    String.raw`curl -F 'a="x\\\"' -F 'b="x\\\\";type=a/b' -F 'c="\x\\' -F 'd="a";"b";type=a/b' HOST`,
    String.raw`curl -F '=b' -F 'a=' -F 'b=x<y' -F 'c=x@y' -F 'd=\@' -F 'e="@x"' -F 'f=)' -F $'g\n=x' HOST`,
    String.raw`curl -F 'a=b;type=a/b;filename=x;c=d' -F 'b=c;filename=x;type=a/b;c=d' -F 'c=d;type=a/b;type=c/d' HOST`,
    String.raw`curl -F 'a=@text.txt;type=text/html; charset=utf-8 ;filename=../up.HTML' -F 'b=@./text.txt;filename=' HOST`,
    String.raw`curl -F 'a=b;' -F 'c=;' -F 'd=e; ;TYPE=x/y' -F 'e=f,g;type=a/b,c' HOST`,
    String.raw`curl -F 'a"b\c=c' --form-escape HOST`,
    String.raw`curl -F $'a=\xa0x\xa0' HOST`,
    String.raw`curl -F a=b -H 'Content-Type: multipart/form-data' -H 'X: 1' HOST`,
    String.raw`curl -F a=b -F =c -H 'X: 1' -H 'content-type: multipart/mixed; x=y' HOST`,
    String.raw`curl -F a=b -X PUT HOST`,
    String.raw`curl -F a=b -G HOST`,
  ],
  uploads: [
    String.raw`curl -T text.txt -H Expect: HOST/dir/`,
    String.raw`curl -T 'with space.png' -H Expect: 'HOST?x=1'`,
    String.raw`curl -T ./text.txt -H Expect: HOST/name`,
    String.raw`curl -T a+b.txt -H Expect: HOST`,
    String.raw`curl --upload-file bytes.bin -X POST -H 'Content-Type: a/b' -H Expect: HOST/x`,
  ],
  'quoting and spelling': [
    String.raw`curl -d "it's" -d $'tab\there\u00e9\'' -d "dq \"x\" \$ \` \\ \n" -d a\ b\\c HOST`,
    'curl \\\n  -X POST \\\n\t-H "A: b" \\\n  HOST',
    '# a comment\n\ncurl HOST # another\n# and one more\n',
    String.raw`curl 'HOST/a'b"c"$'d'?e=f`,
    String.raw`cu"r"l HOST/x*y?z=[1] -g`,
    String.raw`curl -d $'a\0b'c -d $"loc" -d "" -d a#b -d "$" HOST`,
    'curl -d "line\\\ncontinued" -d \'kept\\\nline\' HOST',
    String.raw`curl --COMPRESSED --heade 'X: y' --data-b x --max-t 9 --user-a b HOST`,
    String.raw`curl -m 5 --connect-timeout .25 --max-redirs 3 -k -x '' HOST`,
    String.raw`curl -sSvf -o /dev/null -w '%{http_code}' --no-progress-meter --no-buffer HOST`,
    String.raw`curl --http1.1 --tlsv1.2 --retry 2 --no-keepalive HOST`,
  ],
  "the browsers' copies": [
    String.raw`curl 'http://HOST/api?x=1' \
  -H 'Accept: */*' \
  -H 'Accept-Language: en-US,en;q=0.9' \
  -H 'Connection: keep-alive' \
  -H 'Content-Type: application/json' \
  -b 'sid=abc; theme=dark' \
  -H 'Origin: http://HOST' \
  -H 'sec-ch-ua: "Chromium";v="128", "Not;A=Brand";v="24"' \
  -H 'User-Agent: Mozilla/5.0 (X11; Linux x86_64)' \
  --data-raw $'{"name":"it\'s","bang":"wow\u0021","multi":"a\\nb"}' \
  --insecure`,
    String.raw`curl 'http://HOST/form' --compressed -X POST -H 'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0' -H 'Accept: text/html,application/xhtml+xml' -H 'Accept-Language: en-US,en;q=0.5' -H 'Accept-Encoding: gzip, deflate' -H 'Content-Type: application/x-www-form-urlencoded' -H 'Connection: keep-alive' -H 'Upgrade-Insecure-Requests: 1' -H 'Priority: u=0, i' --data-raw 'q=a+b&r=%C3%A9'`,
    String.raw`curl 'http://HOST/upload' -X POST -H 'Content-Type: multipart/form-data; boundary=----WebKitFormBoundaryX' --data-binary $'------WebKitFormBoundaryX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n------WebKitFormBoundaryX--\r\n'`,
  ],
};

/** All that is sent is compared: what redirects lead to, too. */
const REDIRECTED: string[] = [
  String.raw`curl HOST/302/not-followed`,
  String.raw`curl -L HOST/301/final`,
  String.raw`curl -L HOST/302/303/final?x=1`,
  String.raw`curl -L -I HOST/302/final`,
  String.raw`curl -L -H 'X: 1' -A me -e r HOST/307/final`,
  String.raw`curl -L -u a:b -b c=d HOST/302/final`,
  String.raw`curl -L -d a=1 HOST/307/final`,
  String.raw`curl -L --json '{"a":1}' HOST/308/final`,
  String.raw`curl -L -X PUT -d a=1 HOST/308/final`,
  String.raw`curl -L --max-redirs 2 HOST/302/302/final`,
];

/** Commands that the real curl (or bash) does not turn into one request. */
const REFUSED: string[] = [
  String.raw`curl`,
  String.raw`curl -s`,
  String.raw`curl HOST -d`,
  String.raw`curl --data=x HOST`,
  String.raw`curl --dat x HOST`,
  String.raw`curl --foo HOST`,
  String.raw`curl -s@ HOST`,
  String.raw`curl - HOST`,
  String.raw`curl --no-data x HOST`,
  String.raw`curl --no-locat HOST`,
  String.raw`curl 'http://HOST/a b'`,
  String.raw`curl $'http://HOST/\x01'`,
  String.raw`curl http:////HOST/`,
  String.raw`curl http://HOST:1:2/`,
  String.raw`curl http://127.0.0.1:99999/`,
  String.raw`curl 'http://u:p@x@HOST/'`,
  String.raw`curl 'http://u%00@HOST/'`,
  String.raw`curl http://`,
  String.raw`curl foo://HOST/`,
  String.raw`curl 'http://HOST/a}'`,
  String.raw`curl 'http://HOST/[a]'`,
  String.raw`curl 'http://HOST/[ab:]'`,
  String.raw`curl 'http://HOST/{}'`,
  String.raw`curl -G -d 'a b' HOST`,
  String.raw`curl --url-query '+a b' HOST`,
  String.raw`curl -I -d x HOST`,
  String.raw`curl -F a=b -d x HOST`,
  String.raw`curl -G -F a=b -d x HOST`,
  String.raw`curl -F a=b -I HOST`,
  String.raw`curl -T text.txt -d x HOST`,
  String.raw`curl -T text.txt -G -d x HOST`,
  String.raw`curl -T missing HOST`,
  String.raw`curl -F a HOST`,
  String.raw`curl --form-string a HOST`,
  String.raw`curl -F 'a=b;type=text' HOST`,
  String.raw`curl -F 'a=@missing' HOST`,
  String.raw`curl -m abc HOST`,
  String.raw`curl -m -1 HOST`,
  String.raw`curl --connect-timeout 2s HOST`,
  String.raw`curl --max-redirs x HOST`,
  String.raw`curl 'HOST`,
  String.raw`curl "HOST`,
  String.raw`curl $'HOST`,
  String.raw`curl (HOST)`,
  String.raw`curl HOST '`,
];

let server: CaptureServer;
let folder: string;

beforeAll(async () => {
  server = await CaptureServer.start();
  folder = await mkdtemp(path.join(tmpdir(), 'gostress-curl-'));
  const files: Record<string, string> = {
    'text.txt': 'first\r\nsecond é\nlast',
    'bytes.bin': 'a\0\xff\r\n\xfe',
    empty: '',
    'with space.png': 'PNG',
    'a+b.txt': 'plus',
    'headers.txt': 'A: 1\r\nB: 2\n\n# none\nC:3\n',
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder, name), Buffer.from(content, 'latin1'));
  }
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function addressed(command: string): string {
  const port = String(server.port);
  return command.replaceAll('HOST', `127.0.0.1:${port}`).replaceAll('PORT', port);
}

/** What the real curl sends. */
async function curlWire(command: string): Promise<Wire> {
  const { stderr } = await runBash(command, folder);
  const captured = server.take();
  expect(captured, stderr).toHaveLength(1);
  return wireOf(captured[0]!);
}

/** What our client sends. */
async function importedWire(imported: CurlImport): Promise<Wire> {
  await sendImport(imported);
  const captured = server.take();
  expect(captured).toHaveLength(1);
  return wireOf(captured[0]!);
}

describe('an imported command sends, byte by byte, what the real curl sends', () => {
  for (const [topic, commands] of Object.entries(ACCEPTED)) {
    it.each(commands)(`in ${topic}: %s`, async (template) => {
      const command = addressed(template);
      const sent = await curlWire(command);
      expect(await importedWire(importCurl(command, { baseDir: folder }))).toEqual(sent);
    });
  }
});

describe('with -L an imported command follows as the real curl does', () => {
  it.each(REDIRECTED)('%s', async (template) => {
    const command = addressed(template);
    await runBash(command, folder);
    const sent = server.take().map(wireOf);
    await sendImport(importCurl(command, { baseDir: folder }));
    expect(server.take().map(wireOf)).toEqual(sent);
  });

  it('and a POST becomes a GET, without its body and the header that speaks of it, which curl 7.88 still sends', async () => {
    const command = addressed('curl -L -d a=1 HOST/302/final');
    await runBash(command, folder);
    const [, sent] = server.take().map(wireOf);
    await sendImport(importCurl(command, { baseDir: folder }));
    const [, ours] = server.take().map(wireOf);
    expect(ours).toEqual({ ...sent, headers: sent!.headers.filter(([name]) => name !== 'Content-Type') });
  });
});

it('-k trusts whom the real curl trusts with it, and refuses without it', async () => {
  await using tls = await startTlsServer({ ...makeCertificates().server });
  for (const [flag, exitCode, kind] of [['-k', 0, 'answered'] as const, ['', 60, 'tls'] as const]) {
    const command = `curl ${flag} https://127.0.0.1:${tls.port}/`;
    expect(await runBash(command, folder), command).toMatchObject({ exitCode });
    expect(await exchangeImport(importCurl(command, { baseDir: folder })), command).toMatchObject({ kind });
  }
});

describe('what the real curl refuses is refused', () => {
  it.each(REFUSED)('%s', async (template) => {
    const command = addressed(template);
    const { exitCode } = await runBash(command, folder);
    expect(server.take()).toEqual([]);
    expect(exitCode).not.toBe(0);
    expect(() => importCurl(command, { baseDir: folder })).toThrow(CodedError);
  });
});

it('the only header of curl that an import leaves out is Expect, which curl adds to large bodies', async () => {
  await writeFile(path.join(folder, 'large'), Buffer.alloc(1_500_000, 'x'));
  const command = addressed('curl --data-binary @large HOST');
  const sent = await curlWire(command);
  expect(sent.headers).toContainEqual(['Expect', '100-continue']);
  const imported = await importedWire(importCurl(command, { baseDir: folder }));
  expect(imported).toEqual({ ...sent, headers: sent.headers.filter(([name]) => name !== 'Expect') });
});

it("a query's bytes outside of ASCII are percent-encoded, with a warning, where curl sends them as they are", async () => {
  const command = addressed(`curl 'HOST/é?q=é'`);
  expect((await curlWire(command)).requestLine).toBe('GET /%c3%a9?q=\xc3\xa9 HTTP/1.1');
  const imported = importCurl(command, { baseDir: folder });
  expect((await importedWire(imported)).requestLine).toBe('GET /%c3%a9?q=%c3%a9 HTTP/1.1');
  expect(imported.warnings).toEqual([expect.stringContaining('percent-encoded')]);
});
