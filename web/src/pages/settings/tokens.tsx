import { told } from '../../../core/client.ts'
import { plain } from '../../../core/format.ts'
import { ask, client } from '../../api.ts'
import { Failed, Time } from '../../components/bits.tsx'
import { Table, useDo } from './parts.tsx'

export function Tokens() {
  const remove = useDo('tokens', (token: number) => told(client.DELETE('/tokens/{token}', { params: { path: { token } } })))
  return (
    <>
      {remove.isError && <Failed error={remove.error} />}
      <Table
        asked={ask.tokens()}
        head={['Made by', 'Seats left', 'Labels', 'Until']}
        empty="No tokens. Hosts join with one."
        row={(t) => (
          <tr key={t.id}>
            <td>
              {plain(t.created_by)} <Time at={t.created_at} />
            </td>
            <td>{t.seats < 0 ? 'any' : t.seats}</td>
            <td>{plain(Object.entries(t.labels).map(([k, v]) => `${k}=${v}`).join(', '))}</td>
            <td>{new Date(t.expires_at).toLocaleString()}</td>
            <td className="number">
              <button onClick={() => remove.mutate(t.id)}>Take out of use</button>
            </td>
          </tr>
        )}
      />
    </>
  )
}
