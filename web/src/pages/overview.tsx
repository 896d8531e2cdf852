import { useQuery } from '@tanstack/react-query'
import { count, number } from '../../core/format.ts'
import type { Summary } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Empty, Failed, Loading, State, Title, useTitle } from '../components/bits.tsx'
import { listed } from '../components/flaws.tsx'
import { Link } from '../router.tsx'
import { Trend } from './trend.tsx'
import { Urgent } from './urgent.tsx'

// ages says for how long security updates are pending.
function ages(s: Summary): string {
  const a = s.security_age
  const parts: [number, string][] = [
    [a.older, 'for more than 30 days'],
    [a.month, 'for more than a week'],
    [a.week, 'for more than a day'],
    [a.day, 'since today'],
  ]
  return parts
    .filter(([n]) => n > 0)
    .map(([n, text]) => `${number(n)} ${text}`)
    .join(', ')
}

type Line = { n: number; state: string; text: string; detail: string; href: string }

// attention is what a person should know, the most urgent first. What is unknown comes before all: it may be worse than what is known.
function attention(s: Summary): Line[] {
  const lines: Line[] = [
    { n: s.states['unknown'] ?? 0, state: 'unknown', text: `${count(s.states['unknown'] ?? 0, 'host')} unknown`, detail: 'silent, or could not look: they may be worse than what is known', href: '/hosts?state=unknown' },
    { n: s.clones, state: 'unknown', text: `${count(s.clones, 'identity', 'identities')} used by two machines`, detail: 'a copied disk: let one of them join anew', href: '/hosts?state=unknown' },
    { n: s.security, state: 'security', text: `${count(s.security, 'security update')}`, detail: ages(s), href: '/updates?security=true&sort=first_seen' },
    { n: s.vulnerabilities['this window'] ?? 0, state: 'security', text: `${count(s.vulnerabilities['this window'] ?? 0, 'vulnerability', 'vulnerabilities')}`, detail: 'for this window: likely to be exploited, or bad, or nobody has said how bad', href: listed({ bucket: 'this window' }) },
    { n: s.jobs.failed, state: 'security', text: `${count(s.jobs.failed, 'job')} not as wanted`, detail: 'within a day: failed, rolled back, expired, or never heard of again', href: '/work?what=jobs&state=failed' },
    { n: s.orders.failed, state: 'security', text: `${count(s.orders.failed, 'scan')} failed`, detail: 'within a day: a host that was asked to look could not', href: '/work?what=scans&state=failed' },
    { n: s.jobs.planned, state: 'outdated', text: `${count(s.jobs.planned, 'plan')} to approve`, detail: 'nothing is installed before', href: '/work?what=jobs&state=planned' },
    { n: s.reboot['yes'] ?? 0, state: 'outdated', text: `${count(s.reboot['yes'] ?? 0, 'host')} to reboot`, detail: 'updates that are installed take effect then', href: '/hosts?reboot=yes' },
    { n: s.restart['yes'] ?? 0, state: 'outdated', text: `${count(s.restart['yes'] ?? 0, 'host')} with services to restart`, detail: 'they still run replaced files', href: '/hosts?restart=yes' },
    { n: s.images['update'] ?? 0, state: 'outdated', text: `${count(s.images['update'] ?? 0, 'image update')}`, detail: 'container images with newer content', href: '/images?answer=update' },
    { n: s.images['unknown'] ?? 0, state: 'unknown', text: `${count(s.images['unknown'] ?? 0, 'image')} unknown`, detail: 'their registry could not be asked', href: '/images?answer=unknown' },
    { n: s.updates - s.security, state: 'outdated', text: `${count(s.updates - s.security, 'other update')}`, detail: 'pending, over all hosts', href: '/updates' },
    { n: s.blocked, state: 'outdated', text: `${count(s.blocked, 'update')} blocked`, detail: 'held, phased or kept back', href: '/updates?blocked=true' },
    { n: s.jobs.running, state: 'running', text: `${count(s.jobs.running, 'job')} running`, detail: 'hosts are at work', href: '/work?what=jobs&state=running' },
    { n: s.jobs.waiting + s.jobs.planning, state: 'waiting', text: `${count(s.jobs.waiting + s.jobs.planning, 'job')} waiting`, detail: 'until their hosts come for them, or may begin', href: '/work?what=jobs&state=open' },
    { n: s.orders.running + s.orders.waiting, state: 'waiting', text: `${count(s.orders.running + s.orders.waiting, 'scan')} asked for`, detail: 'until their hosts come for them', href: '/work?what=scans' },
  ]
  return lines.filter((l) => l.n > 0)
}

const states = ['unknown', 'security', 'outdated', 'current']

export function Overview() {
  useTitle('Overview')
  const { data: s, error, refetch } = useQuery(ask.summary())
  if (error && !s) return <Failed error={error} again={() => void refetch()} />
  if (!s) return <Loading />
  if (s.hosts === 0) {
    return (
      <Empty>
        <h1>No hosts yet</h1>
        <p>
          <Link href="/add">Add the first one</Link>: one line to paste on it.
        </p>
      </Empty>
    )
  }
  const lines = attention(s)
  return (
    <>
      <Title>{lines.every((l) => l.state === 'waiting' || l.state === 'running') ? 'All is well' : 'What needs attention'}</Title>
      <div className="bar" role="img" aria-label={states.map((k) => `${s.states[k] ?? 0} ${k}`).join(', ')}>
        {states.map((k) => (s.states[k] ? <span key={k} className={k} style={{ flexGrow: s.states[k] }} /> : null))}
      </div>
      <ul className="legend">
        {states.map((k) => (
          <li key={k}>
            <Link href={`/hosts?state=${k}`}>
              <b>{number(s.states[k] ?? 0)}</b> <State of={k} />
            </Link>
          </li>
        ))}
        <li className="quiet">
          of <Link href="/hosts">{count(s.hosts, 'host')}</Link>
        </li>
      </ul>
      <Urgent />
      {lines.length === 0 ? (
        <p>{count(s.hosts, 'host')}, all up to date, and none unknown.</p>
      ) : (
        <ul className="attention">
          {lines.map((l) => (
            <li key={l.text}>
              <Link href={l.href}>
                <State of={l.state}>{l.text}</State>
                <small>{l.detail}</small>
              </Link>
            </li>
          ))}
        </ul>
      )}
      <Trend />
      <p className="quiet">
        {count(s.packages, 'package')} and {count(s.containers, 'container')} watched. {s.silent === 0 ? 'Every host was heard of lately' : `${count(s.silent, 'host')} of ${number(s.hosts)} not heard of lately`}; {count(s.agents_waiting, 'agent')}{' '}
        connected.
      </p>
    </>
  )
}
