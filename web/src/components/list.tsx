// A list of any length: rows come page by page from the server, and only those in sight are in the document.
import { useInfiniteQuery } from '@tanstack/react-query'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Page } from '../../core/types.ts'
import { useParam } from '../router.tsx'
import { Failed, Loading } from './bits.tsx'

export type Column<T> = {
  head: string
  // width is one of CSS grid's: 2fr, 6rem.
  width: string
  cell: (row: T) => ReactNode
  // number sets it to the right.
  number?: boolean
  // sort is the parameter that sorts by it.
  sort?: string
}

type Asked<T> = {
  queryKey: unknown[]
  queryFn: (context: { pageParam: string | undefined }) => Promise<Page<T>>
  initialPageParam: string | undefined
  getNextPageParam: (last: Page<T>) => string | undefined
}

type Props<T> = {
  label: string
  asked: Asked<T>
  columns: Column<T>[]
  id: (row: T) => string
  empty: ReactNode
}

const rowHeight = 44
// ahead is how many rows before the end the next page is asked for.
const ahead = 60

export function List<T>({ label, asked, columns, id, empty }: Props<T>) {
  const query = useInfiniteQuery(asked)
  const rows = query.data?.pages.flatMap((p) => p.items) ?? []
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  useLayoutEffect(() => {
    if (body.current) setTop(body.current.getBoundingClientRect().top + scrollY)
  }, [rows.length === 0])
  const virtual = useWindowVirtualizer({ count: rows.length, estimateSize: () => rowHeight, overscan: 12, scrollMargin: top, getItemKey: (i) => id(rows[i] as T) })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  useEffect(() => {
    if (last >= rows.length - ahead && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [last, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage])
  if (query.isPending) return <Loading />
  if (query.isError && rows.length === 0) return <Failed error={query.error} again={() => void query.refetch()} />
  if (rows.length === 0) return <>{empty}</>
  const grid = { gridTemplateColumns: columns.map((c) => c.width).join(' ') }
  return (
    <>
      {query.isError && <Failed error={query.error} again={() => void query.refetch()} />}
      <div className="list" role="table" aria-label={label} aria-rowcount={hasNextPage ? -1 : rows.length + 1}>
        <div className="row head" role="row" style={grid} aria-rowindex={1}>
          {columns.map((c) => (
            <div key={c.head} role="columnheader" className={c.number ? 'cell number' : 'cell'}>
              {c.sort ? <Sort by={c.sort}>{c.head}</Sort> : c.head}
            </div>
          ))}
        </div>
        <div ref={body} role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map((item) => {
            const row = rows[item.index] as T
            return (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                className="row"
                role="row"
                aria-rowindex={item.index + 2}
                style={{ ...grid, position: 'absolute', top: 0, left: 0, right: 0, transform: `translateY(${item.start - top}px)` }}
              >
                {columns.map((c) => (
                  <div key={c.head} role="cell" className={c.number ? 'cell number' : 'cell'} data-head={c.head}>
                    {c.cell(row)}
                  </div>
                ))}
              </div>
            )
          })}
        </div>
      </div>
      <p className="quiet" aria-live="polite">
        {hasNextPage ? `${rows.length.toLocaleString('en-GB')} so far, more when you scroll` : `${rows.length.toLocaleString('en-GB')} in all`}
      </p>
    </>
  )
}

// Sort turns the order of a list by a column, and back.
function Sort({ by, children }: { by: string; children: ReactNode }) {
  const [sort, set] = useParam('sort')
  const is = sort === by ? 'up' : sort === `-${by}` ? 'down' : ''
  return (
    <button className="sort" onClick={() => set(is === 'down' ? by : `-${by}`)} title={`Sort by ${by}`}>
      {children}
      <span aria-hidden="true">{is === 'up' ? ' ▲' : is === 'down' ? ' ▼' : ''}</span>
    </button>
  )
}
