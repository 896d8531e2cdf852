import type { Caller } from '../core/types.ts'

export type Right = 'read' | 'operate' | 'administer'

const rights: Record<string, Right[]> = { viewer: ['read'], operator: ['read', 'operate'], admin: ['read', 'operate', 'administer'] }

// may says what the page offers; what is permitted decides the server.
export function may(me: Caller, right: Right): boolean {
  return rights[me.role ?? '']?.includes(right) ?? false
}
