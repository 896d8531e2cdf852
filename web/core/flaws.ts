// How vulnerabilities are said: when to mend them and why, how bad they are, and who says so.
import type { Advice, Exploited, Suppression } from './types.ts'

// buckets are when something is to be mended, what is first comes first.
export const buckets = ['act now', 'this window', 'routine', 'track']

// severities are those that a vulnerability can have, the worst first.
export const severities = ['critical', 'high', 'medium', 'low', 'negligible']

// evidenceText says how it is known that a version has a vulnerability, or that an update mends it.
export const evidenceText: Record<string, string> = {
  advisory: 'the distribution says so',
  osv: 'OSV’s record of the distribution says so',
  changelog: 'only the package’s changelog says so: a claim',
}

type Rated = { severity?: string; severity_by?: string; cvss?: number }

// severityBy says whose word a severity is; empty where nobody has said one.
export function severityBy(f: Rated): string {
  const score = f.cvss ? `CVSS ${f.cvss.toFixed(1)}` : ''
  if (!f.severity) return score
  return f.severity_by === 'CVSS' ? score : [f.severity_by, score].filter(Boolean).join(', ')
}

// percent writes a share of one as people read it.
export function percent(share: number): string {
  const p = share * 100
  const text = p > 0 && p < 0.1 ? 'under 0.1' : p < 10 ? p.toFixed(1) : String(Math.floor(p))
  return `${text}\u00A0%` // on one line
}

// epssText says how probable it is that something is exploited within 30 days, by FIRST; empty where that is not known.
export const epssText = (f: { epss?: number; epss_percentile?: number }) => (f.epss_percentile ? `EPSS ${percent(f.epss ?? 0)}, above ${percent(f.epss_percentile)} of all` : '')

// dayOf writes a day, which is none of anybody's clock.
export const dayOf = (when: string) => when.slice(0, 10)

const long = 86_400_000

// isPast says whether a day is over.
export const isPast = (when: string, now: number) => now >= Date.parse(dayOf(when)) + long

// dueText says until when something that is exploited must be mended, by CISA's word; empty where it does not say.
export function dueText(e: Exploited, now: number): string {
  if (!e.due || e.due.startsWith('0001')) return ''
  return `${isPast(e.due, now) ? 'was due' : 'due'} ${dayOf(e.due)}`
}

// fewIDs is how many vulnerabilities are named before the rest is counted.
const fewIDs = 3

// someIDs gives the first few of what an update mends, and how many more there are. What is suppressed comes last, as the server sorts it.
export function someIDs(a: Advice): { ids: string[]; more: number } {
  const ids = a.mends.map((f) => f.id)
  return { ids: ids.slice(0, fewIDs), more: Math.max(0, ids.length - fewIDs) }
}

// statusText says what somebody has decided of a vulnerability.
export const statusText: Record<string, string> = { not_affected: 'not affected', accepted: 'accepted' }

// scopeText says for what a suppression holds.
export const scopeText = (s: Suppression) => [s.package ? `package ${s.package}` : 'every package', s.group_name ? `group ${s.group_name}` : s.group ? 'no host any more: its group was deleted' : 'every host'].join(', ')

// kindText says what a feed is good for.
export const kindText: Record<string, string> = {
  osv: 'what is affected', 'debian-tracker': 'what is affected, and what has no fix', 'alpine-secdb': 'what mended what', 'arch-tracker': 'what is affected', kev: 'what is exploited', epss: 'how probable that is',
  eol: 'until when releases are supported', endoflife: 'until when releases are supported',
}
