"""x"""
def draw(found): pass
