"""What the text in a column means: numbers, dates, times and gaps in the spellings of the world.

`detect` decides from all cells of a column, `readers` turn text into values by that decision, `read` applies it to
whole tables. The decision is plain data, a `varjepa.config.data.ColumnSection`.
"""
