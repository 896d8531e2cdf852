import { useQuery } from '@tanstack/react-query'
import { plain, span } from '../../../core/format.ts'
import { ask } from '../../api.ts'
import { Facts, Failed, Loading, Time } from '../../components/bits.tsx'

// Server is how the server is set up. It is set up where it runs, so that whoever has a session here cannot change it.
export function Server() {
  const { data: s, error, refetch } = useQuery(ask.server())
  if (error && !s) return <Failed error={error} again={() => void refetch()} />
  if (!s) return <Loading />
  return (
    <>
      <Facts
        rows={[
          ['Version', s.version],
          ['Address', s.url],
          ['Database', s.database],
          ['Agents check in', `every ${span(s.interval_seconds)}`],
          ['A host is unknown', `after ${span(s.stale_seconds)} of silence`],
          ['History is kept', `${s.keep_days} days`],
        ]}
      />
      <p className="quiet">
        These are set in the server's configuration file or by the options of <code>redflag serve</code>.
      </p>
      <h2>Registries that the server asks for all hosts</h2>
      {s.shared_registries.length === 0 ? (
        <p className="quiet">None: each host asks for itself.</p>
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label="Registries">
          <table>
            <thead>
              <tr>
                <th>Registry</th>
                <th className="number">Pulls left</th>
                <th>Said</th>
              </tr>
            </thead>
            <tbody>
              {s.shared_registries.map((name) => {
                const b = s.budgets.find((b) => b.host === name)
                return (
                  <tr key={name}>
                    <td>{plain(name)}</td>
                    <td className="number">{b && b.limit > 0 ? `${b.remaining} of ${b.limit} in ${span(b.window_seconds)}` : <span className="quiet">no limit said</span>}</td>
                    <td>{b ? <Time at={b.at} /> : <span className="quiet">not asked yet</span>}</td>
                  </tr>
                )
              })}
            </tbody>
          </table>
        </div>
      )}
      <p className="quiet">Other registries, with their credentials and authorities, are each host's own: what a host may pull, it may ask about.</p>
    </>
  )
}
