/** What several modules share. */

export interface User {
  id: string;
  name: string;
  /** Where their picture is, if the module keeps one. */
  picture?: string;
}
