// What a setting is of when it is not of the whole process.

/** A database or user that has settings of its own. */
export interface Scope {
  readonly kind: 'databases' | 'users'
  readonly name: string
}

export const databaseScope = (name: string): Scope => ({ kind: 'databases', name })
export const userScope = (name: string): Scope => ({ kind: 'users', name })
