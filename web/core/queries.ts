// What pages ask for, and under which key the answer is kept. The first word of a key is what a change is announced for.
import { type Client, told } from './client.ts'
import { count, short } from './format.ts'
import type { Page } from './types.ts'

export type Filter = Record<string, string | undefined>

// few rows come first, because somebody waits for them, and then more at once.
const first = 50
const more = 250

// few is how many of what is most urgent stand on the overview.
const few = 5

function clean(f: Filter): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [k, v] of Object.entries(f)) if (v) out[k] = v
  return out
}

// pages is a list that comes page by page.
function pages<T>(key: unknown[], ask: (after: string | undefined) => Promise<Page<T>>) {
  return {
    queryKey: key,
    queryFn: ({ pageParam }: { pageParam: string | undefined }) => ask(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Page<T>) => last.next,
  }
}

export function queries(c: Client) {
  // Filters come from addresses, where anything can stand; the server says so when one is wrong.
  const q = (f: Filter, after?: string) => ({ params: { query: { ...clean(f), after, limit: after ? more : first } as never } })
  return {
    me: () => ({ queryKey: ['me'], queryFn: () => told(c.GET('/me')) }),
    summary: () => ({ queryKey: ['summary'], queryFn: () => told(c.GET('/summary')) }),
    hosts: (f: Filter) => pages(['hosts', f], (after) => told(c.GET('/hosts', q(f, after)))),
    host: (host: string) => ({ queryKey: ['host', host], queryFn: () => told(c.GET('/hosts/{host}', { params: { path: { host } } })) }),
    findings: (host: string) => ({ queryKey: ['host', host, 'findings'], queryFn: () => told(c.GET('/hosts/{host}/findings', { params: { path: { host } } })) }),
    hostPackages: (host: string) => pages(['host', host, 'packages'], () => told(c.GET('/hosts/{host}/packages', { params: { path: { host } } }))),
    hostContainers: (host: string) => pages(['host', host, 'containers'], () => told(c.GET('/hosts/{host}/containers', { params: { path: { host } } }))),
    hostHistory: (host: string) => pages(['host', host, 'history'], (after) => told(c.GET('/hosts/{host}/history', { params: { path: { host }, query: { after, limit: after ? more : first } } }))),
    hostOrders: (host: string) => ({ queryKey: ['orders', host], queryFn: () => told(c.GET('/hosts/{host}/orders', { params: { path: { host } } })) }),
    updates: (f: Filter) => pages(['updates', f], (after) => told(c.GET('/updates', q(f, after)))),
    update: (update: number) => ({ queryKey: ['updates', update], queryFn: () => told(c.GET('/updates/{update}', { params: { path: { update } } })) }),
    updateHosts: (update: number) => pages(['updates', update, 'hosts'], (after) => told(c.GET('/updates/{update}/hosts', { params: { path: { update }, query: { after, limit: after ? more : first } } }))),
    images: (f: Filter) => pages(['images', f], (after) => told(c.GET('/images', q(f, after)))),
    imageHosts: (name: string) => pages(['images', name, 'hosts'], (after) => told(c.GET('/images/hosts', { params: { query: { name, after, limit: after ? more : first } } }))),
    packages: (f: Filter) => pages(['packages', f], (after) => told(c.GET('/packages', q(f, after)))),
    packageHosts: (f: Filter) => pages(['packages', 'hosts', f], (after) => told(c.GET('/packages/hosts', q(f, after)))),
    history: () => pages(['history'], (after) => told(c.GET('/history', q({}, after)))),
    appeared: () => pages(['appeared'], (after) => told(c.GET('/appeared', q({}, after)))),
    tokens: () => ({ queryKey: ['tokens'], queryFn: () => told(c.GET('/tokens')) }),
    users: () => ({ queryKey: ['users'], queryFn: () => told(c.GET('/users')) }),
    keys: () => ({ queryKey: ['apikeys'], queryFn: () => told(c.GET('/apikeys')) }),
    logins: () => ({ queryKey: ['logins'], queryFn: () => told(c.GET('/me/logins')) }),
    passkeys: () => ({ queryKey: ['passkeys'], queryFn: () => told(c.GET('/me/passkeys')) }),
    labels: () => ({ queryKey: ['hosts', 'labels'], queryFn: () => told(c.GET('/labels')) }),
    server: () => ({ queryKey: ['server'], queryFn: () => told(c.GET('/server')) }),
    trend: (days: number) => ({ queryKey: ['trend', days], queryFn: () => told(c.GET('/trend', { params: { query: { days } } })) }),
    deeds: (f: Filter) => pages(['deeds', f], (after) => told(c.GET('/deeds', q(f, after)))),
    orders: (f: Filter) => pages(['orders', 'all', f], (after) => told(c.GET('/orders', q(f, after)))),
    offerGroups: (f: Filter) => pages(['updates', 'groups', f], (after) => told(c.GET('/updates/groups', q(f, after)))),
    found: (text: string) => ({ queryKey: ['found', text], queryFn: () => find(c, text) }),
    rollouts: (f: Filter) => pages(['rollouts', f], (after) => told(c.GET('/rollouts', q(f, after)))),
    rollout: (rollout: number) => ({ queryKey: ['rollouts', rollout], queryFn: () => told(c.GET('/rollouts/{rollout}', { params: { path: { rollout } } })) }),
    rolloutJobs: (rollout: number, f: Filter) => pages(['jobs', 'of', rollout, f], (after) => told(c.GET('/rollouts/{rollout}/jobs', { params: { path: { rollout }, query: q(f, after).params.query } }))),
    refusals: (rollout: number) => ({ queryKey: ['jobs', 'refused', rollout], queryFn: () => told(c.GET('/rollouts/{rollout}/jobs', { params: { path: { rollout }, query: { state: 'failed', limit: more } } })) }),
    jobs: (f: Filter) => pages(['jobs', f], (after) => told(c.GET('/jobs', q(f, after)))),
    hostJobs: (host: string) => ({ queryKey: ['jobs', 'latest', host], queryFn: () => told(c.GET('/jobs', { params: { query: { host, limit: 10 } } })) }),
    job: (job: number) => ({ queryKey: ['jobs', job], queryFn: () => told(c.GET('/jobs/{job}', { params: { path: { job } } })) }),
    lines: (job: number, after: number, limit: number) => told(c.GET('/jobs/{job}/lines', { params: { path: { job }, query: { after, limit } } })),
    vulnerabilities: (f: Filter) => pages(['vulnerabilities', f], (after) => told(c.GET('/vulnerabilities', q(f, after)))),
    urgent: () => ({ queryKey: ['vulnerabilities', 'urgent'], queryFn: () => told(c.GET('/vulnerabilities', { params: { query: { bucket: 'act now', suppressed: 'false', limit: few } } })) }),
    vulnerability: (vulnerability: string) => ({ queryKey: ['vulnerabilities', 'one', vulnerability], queryFn: () => told(c.GET('/vulnerabilities/{vulnerability}', { params: { path: { vulnerability } } })) }),
    vulnerabilityHosts: (vulnerability: string) => pages(['vulnerabilities', 'hosts', vulnerability], (after) => told(c.GET('/vulnerabilities/{vulnerability}/hosts', { params: { path: { vulnerability }, query: { after, limit: after ? more : first } } }))),
    advisories: () => ({ queryKey: ['advisories'], queryFn: () => told(c.GET('/advisories')) }),
    suppressions: () => ({ queryKey: ['suppressions'], queryFn: () => told(c.GET('/suppressions')) }),
    groups: () => ({ queryKey: ['groups'], queryFn: () => told(c.GET('/groups')) }),
  }
}

// Found is something that a search has found.
export type Found = { kind: 'host' | 'update' | 'package' | 'image' | 'flaw'; name: string; detail: string; href: string }

// shown is how many of each kind a search shows.
const shown = 5

// find looks for a text in the names of everything.
async function find(c: Client, text: string): Promise<Found[]> {
  const q = { params: { query: { q: text, limit: shown } } }
  const [hosts, updates, images, packages, flaws] = await Promise.all([
    told(c.GET('/hosts', q)),
    told(c.GET('/updates', q)),
    told(c.GET('/images', q)),
    told(c.GET('/packages', { params: { query: { prefix: text, limit: shown } } })),
    told(c.GET('/vulnerabilities', { params: { query: { search: text, limit: shown } } })),
  ])
  return [
    ...hosts.items.map((h): Found => ({ kind: 'host', name: h.facts.name, detail: h.state, href: `/hosts/${h.id}` })),
    ...flaws.items.map((v): Found => ({ kind: 'flaw', name: v.id, detail: `${v.bucket}, ${count(v.hosts, 'host')}`, href: `/vulnerabilities/${encodeURIComponent(v.id)}` })),
    ...updates.items.map((o): Found => ({ kind: 'update', name: o.update.name, detail: `${short(o.update.from, o.update.from_version)} → ${short(o.update.to, o.update.to_version)}, ${count(o.hosts, 'host')}`, href: `/updates/${o.id}` })),
    ...images.items.map((i): Found => ({ kind: 'image', name: i.name, detail: count(i.hosts, 'host'), href: `/images?name=${encodeURIComponent(i.name)}` })),
    ...packages.items.map((p): Found => ({ kind: 'package', name: p.name, detail: p.source, href: `/packages?name=${encodeURIComponent(p.name)}` })),
  ]
}

// touched says which keys' answers may be others after a change of a topic.
export function touched(topic: string): string[] {
  if (topic === 'hosts') return ['summary', 'hosts', 'host', 'updates', 'images', 'packages', 'history', 'appeared', 'vulnerabilities']
  if (topic === 'advisories') return ['advisories', 'suppressions', 'vulnerabilities', 'summary', 'hosts', 'host', 'updates']
  if (topic === 'orders') return ['orders', 'summary']
  if (topic === 'jobs') return ['jobs', 'lines', 'rollouts', 'summary']
  if (topic === 'groups') return ['groups', 'hosts']
  return [topic]
}
