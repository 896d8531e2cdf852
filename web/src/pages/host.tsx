import { useMutation, useQuery } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { told } from '../../core/client.ts'
import { bytes, count, labelText, number, plain, readLabels } from '../../core/format.ts'
import type { Caller, Finding, Host as HostType, Order, Update } from '../../core/types.ts'
import { ask, cache, client } from '../api.ts'
import { Choice, Copy, Export, Empty, Facts, Failed, Field, Loading, Marks, State, Step, Time, Title, useTitle } from '../components/bits.tsx'
import { List } from '../components/list.tsx'
import { Link, go, useParam } from '../router.tsx'
import { may } from '../who.ts'

export function Host({ id, me }: { id: string; me: Caller }) {
  const host = useQuery(ask.host(id))
  const [tab] = useParam('tab')
  const h = host.data
  useTitle(h?.facts.name ?? 'Host')
  if (host.isError && !h) return <Failed error={host.error} again={() => void host.refetch()} />
  if (!h) return <Loading />
  return (
    <>
      <Title aside={may(me, 'operate') && <ScanNow host={h} />}>
        {plain(h.facts.name)} <State of={h.state} />
      </Title>
      <p className="quiet">
        {[h.facts.os, h.facts.kernel, h.facts.arch].filter(Boolean).map(plain).join(' · ')} · seen <Time at={h.seen_at} />
      </p>
      {h.because.map((b) => (
        <p key={b} className="note">
          {plain(b)}
        </p>
      ))}
      {h.facts.reboot.needed === 'yes' && <p className="note">A reboot is needed: {plain(h.facts.reboot.because.join(', '))}</p>}
      {h.facts.restart.needed === 'yes' && <p className="note">Services to restart: {plain(h.facts.restart.services.map((s) => s.name).join(', '))}</p>}
      <Choice name="tab" label="About this host" choices={[['', 'Updates'], ['packages', `Packages ${number(h.packages)}`], ['containers', `Containers ${h.containers}`], ['history', 'History'], ['facts', 'Facts']]} />
      {tab === '' && <Findings id={id} />}
      {tab === 'packages' && <Packages id={id} />}
      {tab === 'containers' && <Containers id={id} />}
      {tab === 'history' && <HostHistory id={id} />}
      {tab === 'facts' && <About host={h} me={me} />}
    </>
  )
}

const ended = ['succeeded', 'failed', 'expired']

// ScanNow asks the host to look, and says what becomes of it as it happens.
function ScanNow({ host }: { host: HostType }) {
  const orders = useQuery(ask.hostOrders(host.id))
  const latest = orders.data?.items[0] as Order | undefined
  const scan = useMutation({
    mutationFn: (refresh: boolean) => told(client.POST('/hosts/{host}/scan', { params: { path: { host: host.id } }, body: { refresh } })),
    onSettled: () => cache.invalidateQueries({ queryKey: ['orders', host.id] }),
  })
  const open = latest && !ended.includes(latest.state)
  return (
    <>
      <span className="quiet" role="status">
        {scan.isError ? plain(scan.error.message) : latest ? <OrderState order={latest} /> : ''}
      </span>
      <button disabled={scan.isPending || open} onClick={() => scan.mutate(false)}>
        Scan now
      </button>
      <button disabled={scan.isPending || open} onClick={() => scan.mutate(true)} title="Fetches package lists and asks registries anew first">
        Refresh and scan
      </button>
    </>
  )
}

function OrderState({ order: o }: { order: Order }) {
  if (o.state === 'waiting') return <>Waiting for the host…</>
  if (o.state === 'running') return <>Looking…</>
  if (o.state === 'failed') return <>Failed: {plain(o.because)}</>
  return (
    <>
      Scan {o.state} <Time at={o.changed_at} />
    </>
  )
}

function Findings({ id }: { id: string }) {
  const { data, error, refetch } = useQuery(ask.findings(id))
  if (error && !data) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Loading />
  if (data.length === 0)
    return (
      <Empty>
        <p>Its first report is on the way. This page shows it by itself.</p>
      </Empty>
    )
  const sorted = [...data].sort((a, b) => Number(a.state === 'ok') - Number(b.state === 'ok'))
  return (
    <>
      {sorted.map((f) => (
        <Source key={f.source} finding={f} />
      ))}
    </>
  )
}

const rank = (u: Update) => (u.security ? 0 : u.blocked ? 2 : 1)

function Source({ finding: f }: { finding: Finding }) {
  const updates = [...f.updates].sort((a, b) => rank(a) - rank(b))
  const odd = f.checks.filter((c) => c.answer !== 'current' && c.answer !== 'update')
  const answer = f.state !== 'ok' ? (updates.length ? `unknown, at least ${count(updates.length, 'update')}` : 'unknown') : updates.length ? count(updates.length, 'update') : 'up to date'
  return (
    <section>
      <h2>
        {plain(f.source)}: {answer}{' '}
        {f.as_of && (
          <small>
            as of <Time at={f.as_of} />
          </small>
        )}
      </h2>
      {f.because && <p className="note">{plain(f.because)}</p>}
      {f.remedy && <p>{plain(f.remedy)}</p>}
      {updates.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label={`Updates of ${plain(f.source)}`}>
          <table>
            <thead>
              <tr>
                <th>{f.checks.length ? 'Image' : 'Package'}</th>
                <th>Update</th>
                <th>About</th>
                <th className="number">Size</th>
              </tr>
            </thead>
            <tbody>
              {updates.map((u) => (
                <tr key={`${u.name} ${u.arch} ${u.kind ?? ''} ${u.level ?? ''}`}>
                  <td>
                    {plain(u.name)} {u.containers && <small>{plain(u.containers.join(', '))}</small>}
                  </td>
                  <td>
                    <Step update={u} />
                  </td>
                  <td>
                    <Marks update={u} /> {u.blocked_because && <small>{plain(u.blocked_because)}</small>} {u.note && <small>{plain(u.note)}</small>}
                  </td>
                  <td className="number">{bytes(u.size)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {odd.length > 0 && (
        <ul className="plain">
          {odd.map((c) => (
            <li key={c.name + c.platform}>
              {plain(c.name)} <span className="tag">{c.answer}</span> <small>{plain([c.because, c.remedy].filter(Boolean).join(' '))}</small>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function Packages({ id }: { id: string }) {
  return (
    <>
      <div className="filters">
        <Export path={`/hosts/${id}/packages`} />
      </div>
      <List
        label="Packages"
        asked={ask.hostPackages(id)}
        id={(p) => `${p.source} ${p.name} ${p.arch} ${p.version}`}
        columns={[
          { head: 'Package', width: 'minmax(12rem, 2fr)', cell: (p) => <Link href={`/packages?name=${encodeURIComponent(p.name)}`}>{plain(p.name)}</Link> },
          { head: 'Version', width: 'minmax(10rem, 2fr)', cell: (p) => plain(p.version) },
          { head: 'Architecture', width: '8rem', cell: (p) => plain(p.arch) },
          { head: 'Built from', width: 'minmax(8rem, 1fr)', cell: (p) => <span className="quiet">{plain(p.source_package ?? '')}</span> },
        ]}
        empty={<Empty>This host has not said what is installed.</Empty>}
      />
    </>
  )
}

function Containers({ id }: { id: string }) {
  return (
    <List
      label="Containers"
      asked={ask.hostContainers(id)}
      id={(c) => `${c.source} ${c.name}`}
      columns={[
        { head: 'Container', width: 'minmax(10rem, 1fr)', cell: (c) => plain(c.name) },
        { head: 'Image', width: 'minmax(12rem, 2fr)', cell: (c) => <Link href={`/images?name=${encodeURIComponent(c.image)}`}>{plain(c.image)}</Link> },
        { head: 'State', width: '8rem', cell: (c) => plain(c.state) },
        { head: 'Engine', width: '8rem', cell: (c) => plain(c.source) },
      ]}
      empty={<Empty>No containers.</Empty>}
    />
  )
}

function HostHistory({ id }: { id: string }) {
  return (
    <List
      label="What left this host"
      asked={ask.hostHistory(id)}
      id={(g) => `${g.update.source} ${g.update.name} ${g.update.arch} ${g.gone_at} ${g.update.kind ?? ''} ${g.update.level ?? ''}`}
      columns={[
        { head: 'Update', width: 'minmax(12rem, 2fr)', cell: (g) => plain(g.update.name) },
        { head: 'Version', width: 'minmax(12rem, 2fr)', cell: (g) => <Step update={g.update} /> },
        { head: 'How', width: '8rem', cell: (g) => g.how },
        { head: 'When', width: '8rem', cell: (g) => <Time at={g.gone_at} /> },
      ]}
      empty={<Empty>Nothing has left yet.</Empty>}
    />
  )
}

function About({ host: h, me }: { host: HostType; me: Caller }) {
  const forget = useMutation({
    mutationFn: () => told(client.DELETE('/hosts/{host}', { params: { path: { host: h.id } } })),
    onSuccess: () => go('/hosts'),
  })
  return (
    <>
      <Facts
        rows={[
          ['System', h.facts.os],
          ['Kernel', h.facts.kernel],
          ['Architecture', h.facts.arch],
          ['Virtualisation', h.facts.virtualisation],
          ['Addresses', h.facts.addresses.join(', ')],
          ['Engines', (h.facts.engines ?? []).map((e) => `${e.name} ${e.version}`).join(', ')],
          ['Booted', h.facts.booted_at && new Date(h.facts.booted_at).toLocaleString()],
          ['Reports from', h.address],
          ['Agent', h.agent],
          ['In the fleet since', new Date(h.enrolled_at).toLocaleString()],
        ]}
      />
      <Labels host={h} me={me} />
      <h2>ID</h2>
      <Copy text={h.id} label="the host's ID" />
      {may(me, 'administer') && (
        <p>
          <button
            className="bad"
            disabled={forget.isPending}
            onClick={() => {
              if (confirm(`Take ${plain(h.facts.name)} out of the fleet, with all that is known of it?`)) forget.mutate()
            }}
          >
            Take out of the fleet
          </button>
        </p>
      )}
      {forget.isError && <Failed error={forget.error} />}
    </>
  )
}

// Labels are what hosts are chosen by.
function Labels({ host: h, me }: { host: HostType; me: Caller }) {
  const text = labelText(h.labels ?? {})
  const set = useMutation({
    mutationFn: (labels: Record<string, string>) => told(client.PUT('/hosts/{host}/labels', { params: { path: { host: h.id } }, body: { labels } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: ['host', h.id] }),
  })
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    set.mutate(readLabels(String(new FormData(e.currentTarget).get('labels'))))
  }
  return (
    <>
      <h2>Labels</h2>
      {may(me, 'operate') ? (
        <form onSubmit={submit} className="inline" key={text}>
          <Field label="Labels of this host" hint="site=berlin, env=prod">
            {(id) => <input id={id} name="labels" defaultValue={text} maxLength={4000} size={40} />}
          </Field>
          <button disabled={set.isPending}>Save</button>
        </form>
      ) : (
        <p>{plain(text) || <span className="quiet">none</span>}</p>
      )}
      {set.isSuccess && <p role="status">Saved.</p>}
      {set.isError && <Failed error={set.error} />}
    </>
  )
}
