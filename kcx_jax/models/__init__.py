"""Model configurations, the Linen transformer (Baichuan2-7B first) and the sharding table.

Lives here: what is computed and where its arrays lie. Not here: loading (`checkpoints`), loops (`training`).
"""
