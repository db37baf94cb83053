import t from 'tap';
import { drawClients } from '../../worker/federation/sampling.ts';

const SEED = 5;
const federation = { clients: 10, clientsPerRound: 4, dropoutRate: 0.25 };
const rounds = Array.from({ length: 2000 }, (_, i) => i + 1);
const draws = rounds.map((round) => drawClients(SEED, { round, attempt: 1 }, federation));

t.test('each round has its own clients, without repetition, ascending', async (t) => {
  for (const { selected, dropped } of draws) {
    if (selected.length !== 4 || selected.some((client, i) => i > 0 && client <= selected[i - 1]!))
      t.fail(`selected ${selected}`);
    if (!dropped.every((client) => selected.includes(client))) t.fail(`dropped ${dropped} of ${selected}`);
  }
  t.ok(new Set(draws.map(({ selected }) => String(selected))).size > 150, 'most of the 210 samples occur');
});

t.test('it depends on nothing but seed, round and attempt', async (t) => {
  t.strictSame(drawClients(SEED, { round: 7, attempt: 1 }, federation), draws[6]);
  const others = [
    drawClients(SEED, { round: 7, attempt: 2 }, federation),
    drawClients(SEED, { round: 8, attempt: 1 }, federation),
    drawClients(SEED + 1, { round: 7, attempt: 1 }, federation),
  ];
  for (const other of others) t.strictNotSame(other, draws[6]);
  const everyone = { clients: 8, clientsPerRound: 8, dropoutRate: 0.5 };
  const attempts = [1, 2, 3].map((attempt) => String(drawClients(SEED, { round: 7, attempt }, everyone).dropped));
  t.equal(new Set(attempts).size, 3, 'who drops out is drawn afresh as well');
});

t.test('clients are drawn, and drop out, as often as they should', async (t) => {
  for (let client = 0; client < federation.clients; client++) {
    const selected = draws.filter((draw) => draw.selected.includes(client)).length;
    // Four standard deviations of a binomial distribution.
    t.ok(Math.abs(selected - 800) < 4 * Math.sqrt(2000 * 0.4 * 0.6), `client ${client}: ${selected} of 2000 rounds`);
  }
  const dropped = draws.reduce((sum, draw) => sum + draw.dropped.length, 0);
  t.ok(Math.abs(dropped - 2000) < 4 * Math.sqrt(8000 * 0.25 * 0.75), `${dropped} of 8000 dropped out`);
});

t.test('all take part when all are asked, and none drops out at rate 0', async (t) => {
  const draw = drawClients(SEED, { round: 1, attempt: 1 }, { clients: 3, clientsPerRound: 3, dropoutRate: 0 });
  t.strictSame(draw, { selected: [0, 1, 2], dropped: [] });
});
