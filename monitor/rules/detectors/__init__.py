"""Is the complaint rate of a campaign or a stream too high? For counts that are looked at again and again, that cluster, and that
come late. Pure, standard library only; times are seconds since 1970 (UTC).
"""
