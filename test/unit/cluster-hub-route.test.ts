import t from 'tap';
import { hubRoute, nextHop, routeText } from '../../worker/cluster/hub-route.ts';

t.test('the way to the hub: endpoint, proxy, exemptions', async (t) => {
  const cases: [Record<string, string>, string, { host: string; port: number }][] = [
    [{}, 'https://huggingface.co', { host: 'huggingface.co', port: 443 }],
    [
      { HF_ENDPOINT: ' https://mirror.example:8443/hf/ ' },
      'https://mirror.example:8443/hf',
      { host: 'mirror.example', port: 8443 },
    ],
    [{ HF_ENDPOINT: 'http://mirror.example' }, 'http://mirror.example', { host: 'mirror.example', port: 80 }],
    [
      { HTTPS_PROXY: 'http://proxy.example:3128' },
      'https://huggingface.co through the proxy http://proxy.example:3128',
      { host: 'proxy.example', port: 3128 },
    ],
    [{ HTTP_PROXY: 'http://proxy.example:3128' }, 'https://huggingface.co', { host: 'huggingface.co', port: 443 }],
    [
      { HF_ENDPOINT: 'http://mirror.example', HTTP_PROXY: 'https://proxy.example' },
      'http://mirror.example through the proxy https://proxy.example',
      { host: 'proxy.example', port: 443 },
    ],
    [
      { https_proxy: 'http://small:1', HTTPS_PROXY: 'http://capital:2' },
      'https://huggingface.co through the proxy http://small:1',
      { host: 'small', port: 1 },
    ],
    [
      { HTTPS_PROXY: 'proxy.example:3128' },
      'https://huggingface.co through the proxy http://proxy.example:3128',
      { host: 'proxy.example', port: 3128 },
    ],
    [
      { ALL_PROXY: 'http://proxy.example:3128' },
      'https://huggingface.co through the proxy http://proxy.example:3128',
      { host: 'proxy.example', port: 3128 },
    ],
    [
      { HTTPS_PROXY: 'http://user:se%20cret@proxy.example:3128' },
      'https://huggingface.co through the proxy http://proxy.example:3128',
      { host: 'proxy.example', port: 3128 },
    ],
  ];
  for (const [variables, text, hop] of cases) {
    const route = hubRoute(variables);
    t.equal(routeText(route), text, JSON.stringify(variables));
    t.same(nextHop(route), hop);
  }
  t.equal(
    hubRoute({ HTTPS_PROXY: 'http://user:se%20cret@proxy.example:3128' }).proxy,
    'http://user:se%20cret@proxy.example:3128',
  );
});

t.test('hosts without a proxy', async (t) => {
  const proxied = (noProxy: string, endpoint = 'https://hub.mirror.example') =>
    hubRoute({ HTTPS_PROXY: 'http://p:1', HF_ENDPOINT: endpoint, NO_PROXY: noProxy }).proxy !== null;
  for (const entry of [
    '*',
    'hub.mirror.example',
    '.mirror.example',
    '*.example',
    'a, hub.mirror.example:443',
    'x HUB.mirror.example',
  ])
    t.notOk(proxied(entry), entry);
  for (const entry of ['', 'mirror.example', 'other', 'hub.mirror.example:8443', '.hub.mirror.example'])
    t.ok(proxied(entry), entry);
});

t.test('an unusable variable is named, without secrets', async (t) => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ HF_ENDPOINT: 'mirror.example' }, /^HF_ENDPOINT cannot be used: its value is not a URL/],
    [{ HF_ENDPOINT: 'ftp://mirror.example' }, /^HF_ENDPOINT cannot be used: ftp:\/\/ is not supported/],
    [{ HF_ENDPOINT: 'https://user:secret@mirror.example' }, /^HF_ENDPOINT contains credentials/],
    [{ ALL_PROXY: 'socks5://user:secret@proxy:1080' }, /^ALL_PROXY cannot be used: socks5:\/\/ is not supported/],
    [{ HTTPS_PROXY: 'http://user:secret@' }, /^HTTPS_PROXY cannot be used/],
  ];
  for (const [variables, message] of cases) {
    try {
      hubRoute(variables);
      t.fail(JSON.stringify(variables));
    } catch (error) {
      t.match(error, { name: 'UserError', message, hint: /^(Write https?:|Use HF_TOKEN)/ });
      t.notMatch(String(error), /secret/);
    }
  }
});
