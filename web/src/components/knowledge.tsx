// What can be known of vulnerabilities, and what not: that nothing was found is news only where somebody could look.
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { count, plain } from '../../core/format.ts'
import type { Advisories, Caller } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Link } from '../router.tsx'
import { may } from '../who.ts'
import { Empty, Failed, State, Time } from './bits.tsx'

export const advisoriesPage = '/settings?tab=advisories'

// Knowledge says what the feeds do not tell, all of it in one place: that there are none, or what they lack. It is nothing where all is well.
export function Knowledge({ me }: { me: Caller }) {
  const { data, error, refetch } = useQuery(ask.advisories())
  if (error && !data) return <Failed error={error} again={() => void refetch()} />
  if (!data) return null
  if (data.feeds.length === 0) return <NoData me={me} />
  const gaps = gapsOf(data)
  if (gaps.length === 0) return null
  return (
    <div className="note">
      <p>
        <State of="unknown">There may be more.</State> <Link href={advisoriesPage}>Feeds of advisories</Link>
      </p>
      <ul className="names">
        {gaps.map((g, i) => (
          <li key={i}>{g}</li>
        ))}
      </ul>
    </div>
  )
}

// gapsOf says what is not known: by old feeds, by those that could not be had anew, and what none speaks of.
function gapsOf(a: Advisories): ReactNode[] {
  const old = a.feeds.filter((f) => f.stale)
  const gaps: ReactNode[] = []
  for (const f of old)
    gaps.push(
      <>
        The feed {plain(f.name)} is old: it is of <Time at={f.as_of} />, and what was found since is not in it.
      </>,
    )
  for (const f of a.feeds.filter((f) => f.error)) gaps.push(`The feed ${plain(f.name)}: ${plain(f.error)}`)
  const more = a.unknown.filter((u) => !old.some((f) => u.startsWith(`${f.name} is of `))) // of old feeds more is said above
  return [...gaps, ...more.map(plain)]
}

// NoData says that there is no feed, and what to do.
function NoData({ me }: { me: Caller }) {
  return (
    <Empty>
      <h2>No advisory data</h2>
      <p>That is not the same as no vulnerabilities: nothing was compared with anything yet.</p>
      {may(me, 'administer') ? (
        <p>
          <Link href={advisoriesPage}>Import a feed</Link>, or from a terminal: <code>redflag feed import FILE</code>
        </p>
      ) : (
        <p>An administrator can import feeds in the settings, or from a terminal: <code>redflag feed import FILE</code></p>
      )}
    </Empty>
  )
}

// Nothing stands in place of an empty list of vulnerabilities, and says what that means. Without feeds it means nothing, and that is said by Knowledge.
export function Nothing({ filtered, children }: { filtered?: boolean; children: string }) {
  const { data } = useQuery(ask.advisories())
  if (!data || data.feeds.length === 0) return null
  if (filtered) return <Empty>No vulnerability is like that.</Empty>
  return (
    <Empty>
      <p>{children}</p>
      <p>
        So say <Link href={advisoriesPage}>{count(data.feeds.length, 'feed')}</Link>
        {data.unknown.length > 0 && ', which do not speak of everything'}.
      </p>
    </Empty>
  )
}
