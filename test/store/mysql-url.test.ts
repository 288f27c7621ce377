import { describe, expect, test } from 'vitest';
import { parseMysqlUrl } from '../../src/store/mysql-url.ts';

describe('the URL of a MySQL', () => {
  test.each([
    [
      'mysql://me:p%40ss@db.example:3307/gostress',
      { host: 'db.example', port: 3307, user: 'me', password: 'p@ss', database: 'gostress', socketPath: null },
    ],
    [
      'mariadb://me@[::1]/go%20stress',
      { host: '::1', port: 3306, user: 'me', password: '', database: 'go stress', socketPath: null },
    ],
    ['mysql://me@localhost/a?socketPath=%2Frun%2Fm.sock', { host: 'localhost', socketPath: '/run/m.sock' }],
  ])('%s is read', (url, expected) => {
    expect(parseMysqlUrl(url)).toMatchObject(expected);
  });

  test.each([
    ['', 'found something else'],
    ['postgres://me:s3cret@host/a', 'found one of postgres://'],
    ['mysql://me:s3cret@host', 'found one without the name of a database'],
    ['mysql://me:s3cret@host/a/b', 'found one without the name of a database'],
    ['mysql://host/a', 'found one without a user'],
    ['mysql://me:s3cret@host/a?ssl=1', 'found the parameter "ssl"'],
  ])('%s is refused, without a word of its password', (url, found) => {
    const read = (): unknown => parseMysqlUrl(url);
    expect(read).toThrow(found);
    expect(read).toThrow(/^expected a URL like "mysql:\/\/user:password@host:3306\/database"/);
    expect(read).not.toThrow('s3cret');
  });
});
