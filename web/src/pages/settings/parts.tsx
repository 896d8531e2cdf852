// What the tabs of the settings share.
import { useMutation, useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { cache } from '../../api.ts'
import { Empty, Failed, Loading } from '../../components/bits.tsx'

// useDo is something that a person does, after which a kind of answer may be another.
export function useDo<T, R>(key: string, work: (what: T) => Promise<R>) {
  return useMutation({ mutationFn: work, onSettled: () => cache.invalidateQueries({ queryKey: [key] }) })
}

type Asked<T> = { queryKey: unknown[]; queryFn: () => Promise<{ items: T[] }> }

// Table is a short list with its states. As cards it has its cells below each other on a small screen.
export function Table<T>({ asked, head, row, empty, cards }: { asked: Asked<T>; head: string[]; row: (item: T) => ReactNode; empty: string; cards?: boolean }) {
  const { data, error, refetch } = useQuery(asked)
  if (error && !data) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Loading />
  if (data.items.length === 0) return <Empty small>{empty}</Empty>
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={head[0]}>
      <table className={cards ? 'cards' : undefined}>
        <thead>
          <tr>
            {head.map((h) => (
              <th key={h}>{h}</th>
            ))}
            <th>
              <span className="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>{data.items.map(row)}</tbody>
      </table>
    </div>
  )
}
