// Several updates at once, on all hosts that have them.
import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { count, plain } from '../../core/format.ts'
import type { Offer, OnHost } from '../../core/types.ts'
import { ask } from '../api.ts'
import { afterOf, Afters, hoursOf, Install, most, Patience, start, type Target } from '../components/act.tsx'
import { Reasons } from '../components/advice.tsx'
import { Failed } from '../components/bits.tsx'
import { Answers, Dialog } from '../components/dialog.tsx'
import { go } from '../router.tsx'

export const asTarget = (o: OnHost): Target => ({ id: o.host, name: o.host_name })

export const unique = (hosts: Target[]): Target[] => [...new Map(hosts.map((h) => [h.id, h])).values()]

// hostsOf gives all hosts that have an update, as far as they can be chosen at once.
export async function hostsOf(update: number): Promise<Target[]> {
  const list: Target[] = []
  const asked = ask.updateHosts(update)
  for (let after: string | undefined, first = true; (first || after) && list.length <= most; first = false) {
    const page = await asked.queryFn({ pageParam: after })
    list.push(...page.items.map(asTarget))
    after = page.next
  }
  return unique(list)
}

// Part is a set of names, and the hosts that have exactly these of all that were chosen: a host cannot plan what is not on offer to it.
type Part = { names: string[]; hosts: Target[] }

// partsOf sorts hosts by which of the updates they have.
async function partsOf(offers: Offer[]): Promise<Part[]> {
  const has = new Map<string, { host: Target; names: Set<string> }>()
  for (const o of offers) {
    for (const host of await hostsOf(o.id)) {
      const known = has.get(host.id) ?? { host, names: new Set() }
      known.names.add(o.update.name)
      has.set(host.id, known)
    }
  }
  const parts = new Map<string, Part>()
  for (const { host, names } of has.values()) {
    const list = [...names].sort()
    const key = list.join(' ')
    parts.set(key, { names: list, hosts: [...(parts.get(key)?.hosts ?? []), host] })
  }
  return [...parts.values()].sort((a, b) => b.hosts.length - a.hosts.length)
}

// mostOffers and mostParts bound what is made of a choice of updates: beyond that it is simpler to choose hosts.
const mostOffers = 50
const mostParts = 10

// InstallThese installs the updates that are chosen, on all hosts that have them.
export function InstallThese({ offers }: { offers: Offer[] }) {
  const [parts, setParts] = useState<Part[]>()
  const read = useMutation({ mutationFn: () => partsOf(offers), onSuccess: setParts })
  const many = offers.length > mostOffers
  return (
    <>
      {many && <small>At most {mostOffers} at once: to install more, choose hosts.</small>}
      {read.isError && <Failed error={read.error} />}
      <button className="main" disabled={many || read.isPending} onClick={() => read.mutate()}>
        {read.isPending ? 'Looking who has them…' : 'Install them…'}
      </button>
      {parts?.length === 1 && (
        <Install on={{ hosts: parts[0]?.hosts ?? [] }} names={parts[0]?.names} close={() => setParts(undefined)}>
          <Reasons of={offers.map((o) => o.update)} />
        </Install>
      )}
      {parts && parts.length !== 1 && <InstallParts parts={parts} close={() => setParts(undefined)} />}
    </>
  )
}

// InstallParts makes a plan for each set of hosts that have the same ones of the updates.
function InstallParts({ parts, close }: { parts: Part[]; close: () => void }) {
  const make = useMutation({
    mutationFn: async (form: FormData) => {
      for (const p of parts) await start({ hosts: p.hosts }, { work: { install: { names: p.names } }, after: afterOf(form), expires_hours: hoursOf(form) })
    },
    onSuccess: () => go('/work'),
  })
  const all = { hosts: unique(parts.flatMap((p) => p.hosts)) }
  const none = parts.length === 0
  const many = parts.length > mostParts || parts.some((p) => p.hosts.length > most)
  function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault()
    make.mutate(new FormData(e.currentTarget))
  }
  return (
    <Dialog title={none ? 'No host has them any more' : `Install on ${count(all.hosts.length, 'host')}`} close={close}>
      {!none && (
        <>
          <p>The hosts have different ones of these updates on offer, so {count(parts.length, 'plan is', 'plans are')} made:</p>
          <ul className="names">
            {parts.slice(0, mostParts).map((p) => (
              <li key={p.names.join()}>
                {plain(p.names.join(', '))} <small>{count(p.hosts.length, 'host')}</small>
              </li>
            ))}
          </ul>
          {many && <p className="note bad">That is too much at once: choose fewer updates, or choose hosts instead.</p>}
        </>
      )}
      <form onSubmit={submit}>
        {!none && (
          <>
            <Afters on={all} />
            <Patience />
          </>
        )}
        {make.isError && <Failed error={make.error} />}
        <Answers close={close}>
          {!none && (
            <button className="main" disabled={many || make.isPending}>
              Make the plans
            </button>
          )}
        </Answers>
      </form>
    </Dialog>
  )
}
