// What is exploited and is here: the short list that a person with one hour begins with.
import { useQuery } from '@tanstack/react-query'
import { count, plain } from '../../core/format.ts'
import type { Vulnerability } from '../../core/types.ts'
import { ask } from '../api.ts'
import { Failed, State } from '../components/bits.tsx'
import { flawPath, listed } from '../components/flaws.tsx'
import { advisoriesPage } from '../components/knowledge.tsx'
import { Link } from '../router.tsx'

export function Urgent() {
  const { data, error, refetch } = useQuery(ask.urgent())
  const known = useQuery(ask.advisories())
  if (error && !data) return <Failed error={error} again={() => void refetch()} />
  if (!data || !known.data) return null
  if (known.data.feeds.length === 0)
    return (
      <p className="note">
        No advisory data: whether anything here is exploited is not known. <Link href={advisoriesPage}>What to do</Link>
      </p>
    )
  const old = known.data.feeds.filter((f) => f.stale).length
  return (
    <section>
      {data.items.length > 0 && (
        <>
          <h2>Act now</h2>
          <ul className="attention">
            {data.items.map((v) => (
              <li key={v.id}>
                <Link href={flawPath(v.id)}>
                  <State of="security">{plain(v.id)}</State>
                  <span>{whereText(v)}</span>
                  <small>{plain(v.because)}</small>
                </Link>
              </li>
            ))}
          </ul>
          {data.next && (
            <p>
              <Link href={listed({ bucket: 'act now' })}>All that must be mended now</Link>
            </p>
          )}
        </>
      )}
      {old > 0 && (
        <p className="note">
          {count(old, 'feed of advisories is', 'feeds of advisories are')} old: what was found since is not known here. <Link href={advisoriesPage}>Feeds</Link>
        </p>
      )}
      {data.items.length > 0 && <h2>Everything else</h2>}
    </section>
  )
}

// whereText says where it is, and whether it can be mended now.
function whereText(v: Vulnerability): string {
  const where = `${v.packages.slice(0, 2).join(', ')} on ${count(v.hosts, 'host')}`
  if (v.hosts === 0) return v.in_memory > 0 ? `still in memory on ${count(v.in_memory, 'host')}` : where
  return `${where}, ${v.mendable === 0 ? 'no update mends it' : v.mendable === v.hosts ? 'an update mends it' : `an update mends it on ${v.mendable}`}`
}
